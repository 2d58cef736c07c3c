package io.keystone.kafka;

import java.util.function.Function;
import org.apache.flink.table.api.DataTypes;
import org.apache.flink.table.types.DataType;

/** What a table can read of a record beside its payload's columns. */
enum RecordMetadata {
    /** Null when the event is good, else {@code code: text}. */
    ERROR("error", DataTypes.STRING(), RecordView::error),
    RAW("raw", DataTypes.BYTES(), RecordView::raw),
    KEY("key", DataTypes.BYTES(), RecordView::key),
    HEADERS("headers", DataTypes.MAP(DataTypes.STRING(), DataTypes.BYTES()), RecordView::headers),
    EVENT_ID("event-id", DataTypes.STRING(), RecordView::eventId),
    HOST("host", DataTypes.STRING(), RecordView::host),
    APP("app", DataTypes.STRING(), RecordView::app),
    TIMESTAMP("timestamp", DataTypes.TIMESTAMP_LTZ(3), RecordView::timestamp),
    TOPIC("topic", DataTypes.STRING(), RecordView::topic),
    PARTITION("partition", DataTypes.INT(), RecordView::partition),
    OFFSET("offset", DataTypes.BIGINT(), RecordView::offset);

    private final String key;
    private final DataType type;
    private final Function<RecordView, Object> read;

    RecordMetadata(String key, DataType type, Function<RecordView, Object> read) {
        this.key = key;
        this.type = type.nullable();
        this.read = read;
    }

    String key() {
        return key;
    }

    DataType type() {
        return type;
    }

    Object of(RecordView record) {
        return read.apply(record);
    }
}
