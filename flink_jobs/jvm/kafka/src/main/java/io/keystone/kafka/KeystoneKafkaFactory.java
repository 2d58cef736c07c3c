package io.keystone.kafka;

import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.Set;
import org.apache.flink.api.common.serialization.DeserializationSchema;
import org.apache.flink.configuration.ConfigOption;
import org.apache.flink.configuration.ConfigOptions;
import org.apache.flink.configuration.ReadableConfig;
import org.apache.flink.connector.kafka.source.enumerator.initializer.OffsetsInitializer;
import org.apache.flink.table.connector.format.DecodingFormat;
import org.apache.flink.table.connector.source.DynamicTableSource;
import org.apache.flink.table.data.RowData;
import org.apache.flink.table.factories.DeserializationFormatFactory;
import org.apache.flink.table.factories.DynamicTableSourceFactory;
import org.apache.flink.table.factories.FactoryUtil;

/** Makes {@code 'connector' = 'keystone-kafka'} known to Flink. */
public final class KeystoneKafkaFactory implements DynamicTableSourceFactory {

    public static final String IDENTIFIER = "keystone-kafka";

    private static final String PROPERTIES = "properties.";

    private static final String STANDBY_PROPERTIES = "standby.properties.";

    private static final ConfigOption<List<String>> TOPIC =
            ConfigOptions.key("topic").stringType().asList().noDefaultValue().withDescription("The topics, separated by ';'.");

    private static final ConfigOption<String> STANDBY =
            ConfigOptions.key("standby.cluster")
                    .stringType()
                    .noDefaultValue()
                    .withDescription("Name of a second cluster that is read too; its positions in checkpoints belong to it.");

    private static final ConfigOption<List<String>> STANDBY_TOPIC =
            ConfigOptions.key("standby.topic")
                    .stringType()
                    .asList()
                    .defaultValues()
                    .withDescription("The topics on standby.cluster, separated by ';'; its clients have the properties"
                            + " standby.properties.*.");

    private static final ConfigOption<String> VALUE_FORMAT =
            ConfigOptions.key("value" + FactoryUtil.FORMAT_SUFFIX)
                    .stringType()
                    .noDefaultValue()
                    .withDescription("A format whose decoder never fails, such as keystone-json.");

    private static final ConfigOption<Carry> CARRY =
            ConfigOptions.key("scan.carry")
                    .enumType(Carry.class)
                    .defaultValue(Carry.NOTHING)
                    .withDescription("What of a good event's record its row carries in the metadata key, raw and headers.");

    private static final ConfigOption<Integer> MAX_EVENT =
            ConfigOptions.key("scan.max-event-bytes")
                    .intType()
                    .defaultValue(10 << 20)
                    .withDescription("Key and payload of more bytes are dead: no producer could send them on.");

    private static final ConfigOption<Integer> MAX_HEADERS =
            ConfigOptions.key("scan.max-headers-bytes")
                    .intType()
                    .defaultValue(256 << 10)
                    .withDescription("Headers of more bytes are not sent on.");

    private static final ConfigOption<List<String>> STARTUP =
            ConfigOptions.key("scan.startup.offsets")
                    .stringType()
                    .asList()
                    .defaultValues()
                    .withDescription("Where a job without state begins, as topic:partition:offset, separated by ';';"
                            + " what is not named is read from its beginning.");

    private static final ConfigOption<Duration> DISCOVERY =
            ConfigOptions.key("scan.topic-partition-discovery.interval")
                    .durationType()
                    .defaultValue(Duration.ofSeconds(30))
                    .withDescription("How often partitions that were added are looked for; they are read from their beginning.");

    private static final ConfigOption<Boolean> BOUNDED =
            ConfigOptions.key("scan.bounded")
                    .booleanType()
                    .defaultValue(false)
                    .withDescription("Whether the job ends where the topics end when it starts.");

    private static final ConfigOption<List<String>> BOUNDED_OFFSETS =
            ConfigOptions.key("scan.bounded.offsets")
                    .stringType()
                    .asList()
                    .defaultValues()
                    .withDescription("Where the job ends, as topic:partition:offset, separated by ';'; nothing is read of what"
                            + " is not named. Empty: see scan.bounded.");

    @Override
    public String factoryIdentifier() {
        return IDENTIFIER;
    }

    @Override
    public Set<ConfigOption<?>> requiredOptions() {
        return Set.of(TOPIC, VALUE_FORMAT);
    }

    @Override
    public Set<ConfigOption<?>> optionalOptions() {
        return Set.of(STANDBY, STANDBY_TOPIC, CARRY, MAX_EVENT, MAX_HEADERS, STARTUP, DISCOVERY, BOUNDED, BOUNDED_OFFSETS);
    }

    @Override
    public DynamicTableSource createDynamicTableSource(Context context) {
        FactoryUtil.TableFactoryHelper helper = FactoryUtil.createTableFactoryHelper(this, context);
        DecodingFormat<DeserializationSchema<RowData>> format =
                helper.discoverDecodingFormat(DeserializationFormatFactory.class, VALUE_FORMAT);
        helper.validateExcept(PROPERTIES, STANDBY_PROPERTIES);
        ReadableConfig options = helper.getOptions();
        Map<String, String> all = context.getCatalogTable().getOptions();
        String standby = options.get(STANDBY);
        return new KeystoneKafkaSource(
                context.getPhysicalRowDataType(),
                format,
                new KeystoneKafkaSource.Scan(
                        cluster(null, options.get(TOPIC), PROPERTIES, all, options),
                        standby == null ? null : cluster(standby, options.get(STANDBY_TOPIC), STANDBY_PROPERTIES, all, options),
                        options.get(CARRY),
                        new RecordLimits(options.get(MAX_EVENT), options.get(MAX_HEADERS)),
                        StartPositions.parse(options.get(STARTUP)),
                        stop(options)));
    }

    private static OffsetsInitializer stop(ReadableConfig options) {
        List<String> named = options.get(BOUNDED_OFFSETS);
        if (!named.isEmpty()) {
            return StartPositions.parse(named);
        }
        return options.get(BOUNDED) ? OffsetsInitializer.latest() : null;
    }

    private static KeystoneKafkaSource.Cluster cluster(
            String name, List<String> topics, String prefix, Map<String, String> all, ReadableConfig options) {
        Properties properties = new Properties();
        all.forEach((key, value) -> {
            if (key.startsWith(prefix)) {
                properties.setProperty(key.substring(prefix.length()), value);
            }
        });
        properties.setProperty(
                "partition.discovery.interval.ms", Long.toString(options.get(DISCOVERY).toMillis()));
        return new KeystoneKafkaSource.Cluster(name, List.copyOf(topics), properties);
    }
}
