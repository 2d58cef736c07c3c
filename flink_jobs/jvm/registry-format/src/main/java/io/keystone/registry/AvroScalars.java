package io.keystone.registry;

import io.keystone.format.DeadEvent;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.UUID;
import org.apache.avro.LogicalType;
import org.apache.avro.LogicalTypes;
import org.apache.avro.Schema;

/** Readers of plain types; what a type means beyond its bytes is in its logical type, and one that is unknown means nothing. */
final class AvroScalars {

    private static final long THOUSAND = 1000;
    private static final long MILLION = THOUSAND * THOUSAND;
    private static final long BILLION = THOUSAND * MILLION;

    private static final int UUID_BYTES = 16;

    private AvroScalars() {}

    static AvroReader reader(Schema writer, Column column) {
        return switch (writer.getType()) {
            case NULL -> (cursor, depth) -> null;
            case BOOLEAN -> (cursor, depth) -> {
                int value = cursor.octet();
                if (value > 1) {
                    throw cursor.malformed();
                }
                return column.bool(value == 1);
            };
            case INT -> integer(writer, column);
            case LONG -> longInteger(writer, column);
            case FLOAT -> (cursor, depth) -> column.single(Float.intBitsToFloat(cursor.fixed32()));
            case DOUBLE -> (cursor, depth) -> column.real(Double.longBitsToDouble(cursor.fixed64()));
            case STRING -> (cursor, depth) -> {
                int length = cursor.length(cursor.zigzag());
                return column.text(cursor.bytes(), cursor.pass(length), length);
            };
            case ENUM -> symbol(writer, column);
            case BYTES -> (cursor, depth) -> binary(writer, column, cursor, cursor.length(cursor.zigzag()));
            case FIXED -> (cursor, depth) -> binary(writer, column, cursor, writer.getFixedSize());
            default -> throw new IllegalArgumentException(writer.getType().getName());
        };
    }

    /** Returns what passes such a value, as strictly as it would be read. */
    static AvroReader passing(Schema writer) {
        return switch (writer.getType()) {
            case NULL -> (cursor, depth) -> null;
            case FLOAT -> passing(Float.BYTES);
            case DOUBLE -> passing(Double.BYTES);
            case FIXED -> passing(writer.getFixedSize());
            case STRING, BYTES -> (cursor, depth) -> {
                cursor.pass(cursor.length(cursor.zigzag()));
                return null;
            };
            default -> reader(writer, Column.ANY);
        };
    }

    private static AvroReader passing(int bytes) {
        return (cursor, depth) -> {
            cursor.pass(bytes);
            return null;
        };
    }

    private static AvroReader integer(Schema writer, Column column) {
        boolean isDay = isLogical(writer, "date");
        return (cursor, depth) -> {
            long value = cursor.zigzag();
            if (value != (int) value) {
                throw cursor.malformed();
            }
            return isDay ? column.day(value) : column.whole(value);
        };
    }

    private static AvroReader longInteger(Schema writer, Column column) {
        if (isLogical(writer, "timestamp-millis")) {
            return time(column, THOUSAND);
        }
        if (isLogical(writer, "timestamp-micros")) {
            return time(column, MILLION);
        }
        if (isLogical(writer, "timestamp-nanos")) {
            return time(column, BILLION);
        }
        if (writer.getLogicalType() != null && writer.getLogicalType().getName().startsWith("local-timestamp-")) {
            return (cursor, depth) -> {
                cursor.zigzag();
                return column.misfit("timestamp without a zone");
            };
        }
        return (cursor, depth) -> column.whole(cursor.zigzag());
    }

    private static AvroReader time(Column column, long perSecond) {
        return (cursor, depth) -> {
            long value = cursor.zigzag();
            return column.time(Math.floorDiv(value, perSecond), (int) (Math.floorMod(value, perSecond) * (BILLION / perSecond)));
        };
    }

    private static AvroReader symbol(Schema writer, Column column) {
        byte[][] symbols = writer.getEnumSymbols().stream()
                .map(each -> each.getBytes(StandardCharsets.UTF_8))
                .toArray(byte[][]::new);
        return (cursor, depth) -> {
            long index = cursor.zigzag();
            if (index < 0 || index >= symbols.length) {
                throw cursor.malformed();
            }
            byte[] symbol = symbols[(int) index];
            return column.text(symbol, 0, symbol.length);
        };
    }

    private static Object binary(Schema writer, Column column, ByteCursor cursor, int length) throws DeadEvent {
        if (writer.getLogicalType() instanceof LogicalTypes.Decimal decimal) {
            if (length == 0) {
                throw cursor.malformed();
            }
            return column.decimal(Column.decimalOf(cursor.bytes(), cursor.pass(length), length, decimal.getScale()));
        }
        int start = cursor.pass(length);
        if (length == UUID_BYTES && isLogical(writer, "uuid")) {
            byte[] text = uuid(cursor.bytes(), start).getBytes(StandardCharsets.US_ASCII);
            return column.text(text, 0, text.length);
        }
        return column.misfit("bytes");
    }

    private static String uuid(byte[] bytes, int start) {
        ByteBuffer buffer = ByteBuffer.wrap(bytes, start, UUID_BYTES);
        return new UUID(buffer.getLong(), buffer.getLong()).toString();
    }

    private static boolean isLogical(Schema writer, String name) {
        LogicalType type = writer.getLogicalType();
        return type != null && type.getName().equals(name);
    }
}
