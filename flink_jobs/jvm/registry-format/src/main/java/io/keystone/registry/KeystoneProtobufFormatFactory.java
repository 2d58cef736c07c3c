package io.keystone.registry;

import io.keystone.format.Encoding;
import io.keystone.format.Leniency;
import io.keystone.format.PayloadDecoder;
import org.apache.flink.table.types.logical.RowType;

/** Makes {@code 'format' = 'keystone-protobuf'} known to Flink: Protobuf in Confluent's wire format. */
public final class KeystoneProtobufFormatFactory extends RegistryFormatFactory {

    public KeystoneProtobufFormatFactory() {
        super("keystone-protobuf");
    }

    @Override
    Encoding encoding(RegistryAccess access, Leniency leniency) {
        return new Protobuf(access, leniency);
    }

    record Protobuf(RegistryAccess access, Leniency leniency) implements Encoding {
        private static final long serialVersionUID = 1L;

        @Override
        public PayloadDecoder decoder(RowType columns) {
            return new FramedDecoder(
                    RegistryClient.of(access),
                    new ProtoCompiler(columns, leniency),
                    columns.getFieldCount() > 0,
                    ProtoCompiler.MALFORMED);
        }
    }
}
