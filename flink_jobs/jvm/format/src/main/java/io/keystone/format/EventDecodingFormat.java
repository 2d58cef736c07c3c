package io.keystone.format;

import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import org.apache.flink.api.common.serialization.DeserializationSchema;
import org.apache.flink.table.api.DataTypes;
import org.apache.flink.table.connector.ChangelogMode;
import org.apache.flink.table.connector.format.DecodingFormat;
import org.apache.flink.table.connector.source.DynamicTableSource;
import org.apache.flink.table.data.RowData;
import org.apache.flink.table.types.DataType;
import org.apache.flink.table.types.logical.RowType;
import org.apache.flink.table.types.utils.DataTypeUtils;

/** What the format offers beside the declared columns: why an event is dead, and its bytes. */
public final class EventDecodingFormat implements DecodingFormat<DeserializationSchema<RowData>> {

    /** Null when the event decoded; else {@code code: text} (docs/event-format.md lists the codes). */
    static final String ERROR = "error";

    /** The payload as it came, of good and dead events alike; a reference, not a copy. */
    static final String RAW = "raw";

    private final Encoding encoding;
    private List<String> metadata = List.of();

    public EventDecodingFormat(Encoding encoding) {
        this.encoding = encoding;
    }

    @Override
    public Map<String, DataType> listReadableMetadata() {
        Map<String, DataType> types = new LinkedHashMap<>();
        types.put(ERROR, DataTypes.STRING().nullable());
        types.put(RAW, DataTypes.BYTES().nullable());
        return types;
    }

    @Override
    public void applyReadableMetadata(List<String> metadataKeys) {
        metadata = List.copyOf(metadataKeys);
    }

    @Override
    public DeserializationSchema<RowData> createRuntimeDecoder(DynamicTableSource.Context context, DataType physicalType) {
        List<DataTypes.Field> extra =
                metadata.stream().map(key -> DataTypes.FIELD(key, listReadableMetadata().get(key))).toList();
        DataType producedType = DataTypeUtils.appendRowFields(physicalType, extra);
        RowType columns = (RowType) physicalType.getLogicalType();
        return new EventDeserializationSchema(
                columns,
                encoding,
                context.createTypeInformation(producedType),
                columns.getFieldCount() + metadata.size(),
                position(columns, ERROR),
                position(columns, RAW));
    }

    private int position(RowType columns, String key) {
        int index = metadata.indexOf(key);
        return index < 0 ? EventDeserializationSchema.NOT_ASKED_FOR : columns.getFieldCount() + index;
    }

    @Override
    public ChangelogMode getChangelogMode() {
        return ChangelogMode.insertOnly();
    }

    @Override
    public boolean equals(Object other) {
        return other instanceof EventDecodingFormat that
                && encoding.equals(that.encoding)
                && metadata.equals(that.metadata);
    }

    @Override
    public int hashCode() {
        return Objects.hash(encoding, metadata);
    }
}
