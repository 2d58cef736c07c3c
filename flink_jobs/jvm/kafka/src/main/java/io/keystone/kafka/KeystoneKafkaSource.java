package io.keystone.kafka;

import io.keystone.format.EventDeserializer;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Properties;
import java.util.function.Function;
import org.apache.flink.api.common.eventtime.WatermarkStrategy;
import org.apache.flink.api.common.serialization.DeserializationSchema;
import org.apache.flink.api.connector.source.Source;
import org.apache.flink.connector.kafka.source.KafkaSource;
import org.apache.flink.connector.kafka.source.KafkaSourceBuilder;
import org.apache.flink.connector.kafka.source.enumerator.KafkaSourceEnumState;
import org.apache.flink.connector.kafka.source.enumerator.initializer.OffsetsInitializer;
import org.apache.flink.connector.kafka.source.split.KafkaPartitionSplit;
import org.apache.flink.streaming.api.datastream.DataStream;
import org.apache.flink.streaming.api.datastream.DataStreamSource;
import org.apache.flink.streaming.api.datastream.SingleOutputStreamOperator;
import org.apache.flink.streaming.api.environment.StreamExecutionEnvironment;
import org.apache.flink.table.api.ValidationException;
import org.apache.flink.table.connector.ChangelogMode;
import org.apache.flink.table.connector.ProviderContext;
import org.apache.flink.table.connector.format.DecodingFormat;
import org.apache.flink.table.connector.source.DataStreamScanProvider;
import org.apache.flink.table.connector.source.DynamicTableSource;
import org.apache.flink.table.connector.source.ScanTableSource;
import org.apache.flink.table.connector.source.abilities.SupportsReadingMetadata;
import org.apache.flink.table.data.RowData;
import org.apache.flink.table.types.DataType;

/** Topics as a table: the payload's declared columns, then what was asked for of {@link RecordMetadata}. */
final class KeystoneKafkaSource implements ScanTableSource, SupportsReadingMetadata {

    /** The operator's name in ids: state of a table that was read with Flink's own connector restores. */
    private static final String TRANSFORMATION = "kafka";

    /**
     * What is read of one cluster.
     *
     * @param name of a standby; null for the primary.
     * @param topics their names there.
     */
    record Cluster(String name, List<String> topics, Properties properties) {

        /** Returns the operator's name in ids: positions in one cluster are never taken for those in another. */
        String transformation() {
            return name == null ? TRANSFORMATION : TRANSFORMATION + "-" + name;
        }
    }

    /**
     * What is read.
     *
     * @param standby read beside the primary; null where the stream lives on one cluster.
     * @param start where a job without state begins.
     * @param stop where reading ends; null: it goes on.
     */
    record Scan(
            Cluster primary,
            Cluster standby,
            Carry carry,
            RecordLimits limits,
            StartPositions start,
            OffsetsInitializer stop) {

        boolean bounded() {
            return stop != null;
        }
    }

    private final DataType columns;
    private final DecodingFormat<DeserializationSchema<RowData>> format;
    private final Scan scan;

    private List<RecordMetadata> metadata = List.of();
    private DataType produced;

    KeystoneKafkaSource(DataType columns, DecodingFormat<DeserializationSchema<RowData>> format, Scan scan) {
        this.columns = columns;
        this.format = format;
        this.scan = scan;
        this.produced = columns;
    }

    @Override
    public Map<String, DataType> listReadableMetadata() {
        Map<String, DataType> types = new LinkedHashMap<>();
        for (RecordMetadata each : RecordMetadata.values()) {
            types.put(each.key(), each.type());
        }
        return types;
    }

    @Override
    public void applyReadableMetadata(List<String> keys, DataType producedDataType) {
        metadata = keys.stream()
                .map(key -> Arrays.stream(RecordMetadata.values())
                        .filter(each -> each.key().equals(key))
                        .findFirst()
                        .orElseThrow())
                .toList();
        produced = producedDataType;
    }

    @Override
    public ChangelogMode getChangelogMode() {
        return ChangelogMode.insertOnly();
    }

    @Override
    public ScanRuntimeProvider getScanRuntimeProvider(ScanContext context) {
        if (!(format.createRuntimeDecoder(context, columns) instanceof EventDeserializer events)) {
            throw new ValidationException(
                    "'value.format' has to be one that never fails, such as 'keystone-json'.");
        }
        RecordDeserializer records = new RecordDeserializer(
                events,
                columns.getLogicalType().getChildren().size(),
                metadata.toArray(RecordMetadata[]::new),
                scan.carry(),
                scan.limits(),
                context.createTypeInformation(produced));
        return new Provider(scan, cluster -> source(cluster, records));
    }

    private Source<RowData, KafkaPartitionSplit, KafkaSourceEnumState> source(Cluster cluster, RecordDeserializer records) {
        KafkaSource<RowData> source = plainSource(cluster, records);
        // a job that ends has to read all that it was told to; one of two clusters may be away
        boolean waits = scan.standby() != null && !scan.bounded();
        return waits ? new PatientSource(source, ClusterProbe.of(cluster.properties())) : source;
    }

    private KafkaSource<RowData> plainSource(Cluster cluster, RecordDeserializer records) {
        KafkaSourceBuilder<RowData> builder = KafkaSource.<RowData>builder()
                .setTopics(cluster.topics())
                .setProperties(cluster.properties())
                .setStartingOffsets(scan.start())
                .setDeserializer(records);
        return scan.bounded() ? builder.setBounded(scan.stop()).build() : builder.build();
    }

    @Override
    public DynamicTableSource copy() {
        KeystoneKafkaSource copy = new KeystoneKafkaSource(columns, format, scan);
        copy.metadata = metadata;
        copy.produced = produced;
        return copy;
    }

    @Override
    public String asSummaryString() {
        return "Events in Kafka";
    }

    @Override
    public boolean supportsMetadataProjection() {
        // the insert for good rows and the one for dead letters would else read the topics twice
        return false;
    }

    @Override
    public boolean equals(Object other) {
        return other instanceof KeystoneKafkaSource that
                && columns.equals(that.columns)
                && format.equals(that.format)
                && scan.equals(that.scan)
                && metadata.equals(that.metadata)
                && produced.equals(that.produced);
    }

    @Override
    public int hashCode() {
        return Objects.hash(columns, format, scan, metadata, produced);
    }

    /** Makes the source of a cluster. */
    private interface Sources extends Function<Cluster, Source<RowData, KafkaPartitionSplit, KafkaSourceEnumState>> {}

    private record Provider(Scan scan, Sources sources) implements DataStreamScanProvider {
        @Override
        public DataStream<RowData> produceDataStream(ProviderContext context, StreamExecutionEnvironment environment) {
            DataStream<RowData> primary = read(context, environment, scan.primary());
            if (scan.standby() == null) {
                return primary;
            }
            // a source that is added or taken away leaves the other's state as it is: each has an id of its own
            DataStream<RowData> both = primary.union(read(context, environment, scan.standby()));
            // all that comes after chains to this one operator; without it each reader of the table would get a copy
            SingleOutputStreamOperator<RowData> joined = both.filter(row -> true).name("both clusters");
            context.generateUid(TRANSFORMATION + "-both").ifPresent(joined::uid);
            return joined;
        }

        private DataStream<RowData> read(
                ProviderContext context, StreamExecutionEnvironment environment, Cluster cluster) {
            String name = "events of " + String.join(", ", cluster.topics());
            DataStreamSource<RowData> stream =
                    environment.fromSource(sources.apply(cluster), WatermarkStrategy.noWatermarks(), name);
            context.generateUid(cluster.transformation()).ifPresent(stream::uid);
            return stream;
        }

        @Override
        public boolean isBounded() {
            return scan.bounded();
        }
    }
}
