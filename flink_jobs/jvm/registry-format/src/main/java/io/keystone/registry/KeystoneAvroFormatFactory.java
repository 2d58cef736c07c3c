package io.keystone.registry;

import io.keystone.format.Encoding;
import io.keystone.format.Leniency;
import io.keystone.format.PayloadDecoder;
import org.apache.flink.table.types.logical.RowType;

/** Makes {@code 'format' = 'keystone-avro'} known to Flink: Avro in Confluent's wire format. */
public final class KeystoneAvroFormatFactory extends RegistryFormatFactory {

    public KeystoneAvroFormatFactory() {
        super("keystone-avro");
    }

    @Override
    Encoding encoding(RegistryAccess access, Leniency leniency) {
        return new Avro(access, leniency);
    }

    record Avro(RegistryAccess access, Leniency leniency) implements Encoding {
        private static final long serialVersionUID = 1L;

        @Override
        public PayloadDecoder decoder(RowType columns) {
            return new FramedDecoder(
                    RegistryClient.of(access),
                    new AvroCompiler(columns, leniency),
                    columns.getFieldCount() > 0,
                    AvroCompiler.MALFORMED);
        }
    }
}
