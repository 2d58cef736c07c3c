package io.keystone.kafka;

import io.keystone.format.EventDeserializer;
import org.apache.flink.api.common.serialization.DeserializationSchema;
import org.apache.flink.api.common.typeinfo.TypeInformation;
import org.apache.flink.connector.kafka.source.reader.deserializer.KafkaRecordDeserializationSchema;
import org.apache.flink.kafka.shaded.org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.flink.table.data.GenericRowData;
import org.apache.flink.table.data.RowData;
import org.apache.flink.util.Collector;

/** One row per record, whatever the record holds: decoded columns and metadata are set in the row that goes on. */
final class RecordDeserializer implements KafkaRecordDeserializationSchema<RowData> {

    private static final long serialVersionUID = 1L;

    private final EventDeserializer events;
    private final int columns;
    private final RecordMetadata[] metadata;
    private final Carry carry;
    private final RecordLimits limits;
    private final TypeInformation<RowData> produced;

    private transient RecordView record;

    /** @param columns how many the events' decoder sets, before the metadata. */
    RecordDeserializer(
            EventDeserializer events,
            int columns,
            RecordMetadata[] metadata,
            Carry carry,
            RecordLimits limits,
            TypeInformation<RowData> produced) {
        this.events = events;
        this.columns = columns;
        this.metadata = metadata;
        this.carry = carry;
        this.limits = limits;
        this.produced = produced;
    }

    @Override
    public void open(DeserializationSchema.InitializationContext context) throws Exception {
        if (events instanceof DeserializationSchema<?> schema) {
            schema.open(context);
        }
        record = new RecordView(carry, limits);
    }

    @Override
    public void deserialize(ConsumerRecord<byte[], byte[]> source, Collector<RowData> out) {
        GenericRowData row = new GenericRowData(columns + metadata.length);
        String tooLarge = limits.exceeded(source, carry);
        record.show(source, tooLarge == null ? events.deserialize(source.value(), row) : tooLarge);
        for (int index = 0; index < metadata.length; index++) {
            row.setField(columns + index, metadata[index].of(record));
        }
        out.collect(row);
    }

    @Override
    public TypeInformation<RowData> getProducedType() {
        return produced;
    }
}
