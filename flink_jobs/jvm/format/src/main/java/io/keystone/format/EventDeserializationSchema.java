package io.keystone.format;

import org.apache.flink.api.common.serialization.DeserializationSchema;
import org.apache.flink.api.common.typeinfo.TypeInformation;
import org.apache.flink.table.data.GenericRowData;
import org.apache.flink.table.data.RowData;
import org.apache.flink.table.data.StringData;
import org.apache.flink.table.types.logical.RowType;
import org.apache.flink.util.Collector;

/** One row per record, always: an event that can't be decoded is a row of nulls with the reason in {@code error}. */
final class EventDeserializationSchema implements DeserializationSchema<RowData>, EventDeserializer {

    static final int NOT_ASKED_FOR = -1;

    private static final long serialVersionUID = 1L;

    private final RowType columns;
    private final Encoding encoding;
    private final TypeInformation<RowData> producedType;
    private final int arity;
    private final int errorPosition;
    private final int rawPosition;

    private transient PayloadDecoder decoder;

    EventDeserializationSchema(
            RowType columns,
            Encoding encoding,
            TypeInformation<RowData> producedType,
            int arity,
            int errorPosition,
            int rawPosition) {
        this.columns = columns;
        this.encoding = encoding;
        this.producedType = producedType;
        this.arity = arity;
        this.errorPosition = errorPosition;
        this.rawPosition = rawPosition;
    }

    @Override
    public void open(InitializationContext context) {
        decoder = encoding.decoder(columns);
    }

    @Override
    public String deserialize(byte[] payload, GenericRowData row) {
        String reason = decoder.decode(payload, row);
        if (reason != null) {
            for (int position = 0; position < columns.getFieldCount(); position++) {
                row.setField(position, null);
            }
        }
        return reason;
    }

    @Override
    public void deserialize(byte[] message, Collector<RowData> out) {
        // the interface's default drops a null; here a record without a value is an event like any other
        out.collect(deserialize(message));
    }

    @Override
    public RowData deserialize(byte[] message) {
        GenericRowData row = new GenericRowData(arity);
        String reason = deserialize(message, row);
        if (reason != null && errorPosition != NOT_ASKED_FOR) {
            row.setField(errorPosition, StringData.fromString(reason));
        }
        if (rawPosition != NOT_ASKED_FOR) {
            row.setField(rawPosition, message);
        }
        return row;
    }

    @Override
    public boolean isEndOfStream(RowData next) {
        return false;
    }

    @Override
    public TypeInformation<RowData> getProducedType() {
        return producedType;
    }
}
