package io.keystone.format;

import java.io.IOException;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.core.JsonParser;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.core.JsonToken;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.core.exc.InputCoercionException;

/** Numbers. An integer is written without fraction and exponent; nothing is rounded to fit an integer or wraps around. */
final class NumberDecoders {

    private NumberDecoders() {}

    record Int(String path) implements FieldDecoder {
        @Override
        public Object decode(JsonParser parser, JsonToken token) throws IOException, DeadEvent {
            long value = integer(parser, token, path, "int");
            if (value != (int) value) {
                throw TypeNames.outOfRange(path, "int");
            }
            return (int) value;
        }
    }

    record Bigint(String path) implements FieldDecoder {
        @Override
        public Object decode(JsonParser parser, JsonToken token) throws IOException, DeadEvent {
            return integer(parser, token, path, "bigint");
        }
    }

    record SinglePrecision(String path) implements FieldDecoder {
        @Override
        public Object decode(JsonParser parser, JsonToken token) throws IOException, DeadEvent {
            requireNumber(token, path, "float");
            float value = parser.getFloatValue();
            if (!Float.isFinite(value)) {
                throw TypeNames.outOfRange(path, "float");
            }
            return value;
        }
    }

    record DoublePrecision(String path) implements FieldDecoder {
        @Override
        public Object decode(JsonParser parser, JsonToken token) throws IOException, DeadEvent {
            requireNumber(token, path, "double");
            double value = parser.getDoubleValue();
            if (!Double.isFinite(value)) {
                throw TypeNames.outOfRange(path, "double");
            }
            return value;
        }
    }

    private static long integer(JsonParser parser, JsonToken token, String path, String type)
            throws IOException, DeadEvent {
        if (token != JsonToken.VALUE_NUMBER_INT) {
            throw TypeNames.wrongType(path, type, token);
        }
        try {
            return parser.getLongValue();
        } catch (InputCoercionException outside) {
            throw TypeNames.outOfRange(path, type);
        }
    }

    private static void requireNumber(JsonToken token, String path, String type) throws DeadEvent {
        if (token != JsonToken.VALUE_NUMBER_INT && token != JsonToken.VALUE_NUMBER_FLOAT) {
            throw TypeNames.wrongType(path, type, token);
        }
    }
}
