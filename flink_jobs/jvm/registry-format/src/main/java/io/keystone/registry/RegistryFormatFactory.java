package io.keystone.registry;

import io.keystone.format.Encoding;
import io.keystone.format.EventDecodingFormat;
import io.keystone.format.KeystoneJsonFormatFactory;
import io.keystone.format.Leniency;
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

/** A format whose writers' schemas are in a registry. */
abstract class RegistryFormatFactory implements DeserializationFormatFactory {

    private static final ConfigOption<String> URL =
            ConfigOptions.key("registry.url").stringType().noDefaultValue().withDescription("Base URL of the schema registry.");

    private static final ConfigOption<String> USERNAME =
            ConfigOptions.key("registry.username").stringType().noDefaultValue().withDescription("For basic authentication.");

    private static final ConfigOption<String> PASSWORD =
            ConfigOptions.key("registry.password")
                    .stringType()
                    .noDefaultValue()
                    .withDescription("Where the password is found, env:NAME or file:/PATH, on each TaskManager; never the password.");

    private static final ConfigOption<String> CA_FILE =
            ConfigOptions.key("registry.ca-file")
                    .stringType()
                    .noDefaultValue()
                    .withDescription("PEM file of the authorities that may have signed the registry's certificate.");

    private static final ConfigOption<?> NULL_ON_TYPE_ERROR = KeystoneJsonFormatFactory.NULL_ON_TYPE_ERROR;

    private final String identifier;

    RegistryFormatFactory(String identifier) {
        this.identifier = identifier;
    }

    abstract Encoding encoding(RegistryAccess access, Leniency leniency);

    @Override
    public String factoryIdentifier() {
        return identifier;
    }

    @Override
    public DecodingFormat<DeserializationSchema<RowData>> createDecodingFormat(
            DynamicTableFactory.Context context, ReadableConfig options) {
        FactoryUtil.validateFactoryOptions(this, options);
        RegistryAccess access =
                new RegistryAccess(options.get(URL), options.get(USERNAME), options.get(PASSWORD), options.get(CA_FILE));
        Leniency leniency = new Leniency(Set.copyOf(options.get(KeystoneJsonFormatFactory.NULL_ON_TYPE_ERROR)));
        return new EventDecodingFormat(encoding(access, leniency));
    }

    @Override
    public Set<ConfigOption<?>> requiredOptions() {
        return Set.of(URL);
    }

    @Override
    public Set<ConfigOption<?>> optionalOptions() {
        return Set.of(USERNAME, PASSWORD, CA_FILE, NULL_ON_TYPE_ERROR);
    }
}
