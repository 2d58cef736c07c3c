package io.keystone.format;

import java.util.List;
import java.util.Set;
import org.apache.flink.api.common.serialization.DeserializationSchema;
import org.apache.flink.configuration.ConfigOption;
import org.apache.flink.configuration.ConfigOptions;
import org.apache.flink.configuration.ReadableConfig;
import org.apache.flink.table.connector.format.DecodingFormat;
import org.apache.flink.table.data.RowData;
import org.apache.flink.table.factories.DeserializationFormatFactory;
import org.apache.flink.table.factories.DynamicTableFactory;
import org.apache.flink.table.factories.FactoryUtil;
import org.apache.flink.table.types.logical.RowType;

/** Makes {@code 'format' = 'keystone-json'} known to Flink. What is decoded is what the table declares. */
public final class KeystoneJsonFormatFactory implements DeserializationFormatFactory {

    public static final String IDENTIFIER = "keystone-json";

    public static final ConfigOption<List<String>> NULL_ON_TYPE_ERROR =
            ConfigOptions.key("null-on-type-error")
                    .stringType()
                    .asList()
                    .defaultValues()
                    .withDescription("Dotted paths of the fields, or * for all, whose value becomes null where it does not fit"
                            + " the column; elsewhere such a value is the event's error.");

    @Override
    public String factoryIdentifier() {
        return IDENTIFIER;
    }

    @Override
    public DecodingFormat<DeserializationSchema<RowData>> createDecodingFormat(
            DynamicTableFactory.Context context, ReadableConfig options) {
        FactoryUtil.validateFactoryOptions(this, options);
        return new EventDecodingFormat(new Json(new Leniency(Set.copyOf(options.get(NULL_ON_TYPE_ERROR)))));
    }

    @Override
    public Set<ConfigOption<?>> requiredOptions() {
        return Set.of();
    }

    @Override
    public Set<ConfigOption<?>> optionalOptions() {
        return Set.of(NULL_ON_TYPE_ERROR);
    }

    /** Payloads that are JSON objects. */
    record Json(Leniency leniency) implements Encoding {

        @Override
        public PayloadDecoder decoder(RowType columns) {
            return new EventDecoder(columns, leniency);
        }
    }
}
