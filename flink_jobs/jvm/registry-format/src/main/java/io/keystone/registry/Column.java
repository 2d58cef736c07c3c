package io.keystone.registry;

import io.keystone.format.DeadEvent;
import io.keystone.format.TextDecoders;
import io.keystone.format.Utf8;
import java.math.BigDecimal;
import java.math.BigInteger;
import java.nio.charset.StandardCharsets;
import java.time.LocalDate;
import org.apache.flink.table.data.StringData;
import org.apache.flink.table.data.TimestampData;
import org.apache.flink.table.data.binary.BinaryStringData;
import org.apache.flink.table.types.logical.LogicalType;

/**
 * A declared column of a plain type: takes values as writers hold them and returns Flink's, or the {@link DeadEvent} that says why
 * it takes none. Wider than JSON's rules nowhere: integers fit integers and numbers, nothing is rounded to an integer, nothing but
 * text is text.
 */
abstract class Column {

    private static final long FIRST_DAY = LocalDate.of(1, 1, 1).toEpochDay();
    private static final long LAST_DAY = LocalDate.of(9999, 12, 31).toEpochDay();
    private static final long DAY_MILLIS = 24L * 60 * 60 * 1000;
    private static final long FIRST_MILLI = FIRST_DAY * DAY_MILLIS;
    private static final long LAST_MILLI = (LAST_DAY + 1) * DAY_MILLIS - 1;

    /** Takes nothing: of values that are only passed. */
    static final Column ANY = new Column("", "nothing") {
        @Override
        DeadEvent misfit(String found) {
            return null;
        }
    };

    final String path;
    private final String type;

    private Column(String path, String type) {
        this.path = path;
        this.type = type;
    }

    static Column of(LogicalType type, String path) {
        return switch (type.getTypeRoot()) {
            case VARCHAR -> new Text(path);
            case BOOLEAN -> new Bool(path);
            case INTEGER -> new Int(path);
            case BIGINT -> new Bigint(path);
            case FLOAT -> new Single(path);
            case DOUBLE -> new DoubleNumber(path);
            case DATE -> new Day(path);
            case TIMESTAMP_WITH_LOCAL_TIME_ZONE -> new Time(path);
            default -> throw new IllegalArgumentException(path + ": the formats of a registry have no " + type.asSummaryString());
        };
    }

    /** Returns why a value of that kind is not taken. */
    DeadEvent misfit(String found) {
        return DeadEvent.wrongType(path, "expected " + type + ", got " + found);
    }

    DeadEvent outOfRange() {
        return DeadEvent.outOfRange(path, type);
    }

    Object bool(boolean value) {
        return misfit("boolean");
    }

    Object whole(long value) {
        return misfit("integer");
    }

    /** Takes 64 bits without a sign. */
    Object unsigned(long value) {
        return value >= 0 ? whole(value) : beyond(new BigDecimal(new BigInteger(Long.toUnsignedString(value))));
    }

    Object single(float value) {
        return misfit("float");
    }

    Object real(double value) {
        return misfit("double");
    }

    Object decimal(BigDecimal value) {
        return misfit("decimal");
    }

    Object day(long value) {
        return misfit("date");
    }

    /** Takes nanoseconds of a second and seconds since 1970. */
    Object time(long seconds, int nanos) {
        return misfit("timestamp");
    }

    /** Takes UTF-8. */
    final Object text(byte[] bytes, int start, int length) {
        if (Utf8.malformedAt(bytes, start, start + length) >= 0) {
            return new DeadEvent("not_utf8", path);
        }
        return utf8(bytes, start, length);
    }

    Object utf8(byte[] bytes, int start, int length) {
        return misfit("string");
    }

    /** Takes an integer of 64 bits and more. */
    Object beyond(BigDecimal value) {
        return misfit("integer");
    }

    private static final class Text extends Column {
        Text(String path) {
            super(path, "string");
        }

        @Override
        Object utf8(byte[] bytes, int start, int length) {
            return BinaryStringData.fromBytes(bytes, start, length);
        }

        @Override
        Object decimal(BigDecimal value) {
            return StringData.fromString(value.toPlainString());
        }
    }

    private static final class Bool extends Column {
        Bool(String path) {
            super(path, "boolean");
        }

        @Override
        Object bool(boolean value) {
            return value;
        }
    }

    /** Integers; a decimal without places is one. */
    private abstract static class Whole extends Column {
        Whole(String path, String type) {
            super(path, type);
        }

        @Override
        Object beyond(BigDecimal value) {
            return outOfRange();
        }

        @Override
        Object decimal(BigDecimal value) {
            if (value.scale() > 0) {
                return misfit("decimal");
            }
            return value.unscaledValue().bitLength() < Long.SIZE ? whole(value.longValueExact()) : outOfRange();
        }
    }

    private static final class Int extends Whole {
        Int(String path) {
            super(path, "int");
        }

        @Override
        Object whole(long value) {
            return value == (int) value ? (Object) (int) value : outOfRange();
        }
    }

    private static final class Bigint extends Whole {
        Bigint(String path) {
            super(path, "bigint");
        }

        @Override
        Object whole(long value) {
            return value;
        }
    }

    private static final class Single extends Column {
        Single(String path) {
            super(path, "float");
        }

        private Object finite(float value) {
            return Float.isFinite(value) ? (Object) value : outOfRange();
        }

        @Override
        Object whole(long value) {
            return (float) value;
        }

        @Override
        Object beyond(BigDecimal value) {
            return finite(value.floatValue());
        }

        @Override
        Object decimal(BigDecimal value) {
            return finite(value.floatValue());
        }

        @Override
        Object single(float value) {
            return finite(value);
        }

        @Override
        Object real(double value) {
            return finite((float) value);
        }
    }

    private static final class DoubleNumber extends Column {
        DoubleNumber(String path) {
            super(path, "double");
        }

        private Object finite(double value) {
            return Double.isFinite(value) ? (Object) value : outOfRange();
        }

        @Override
        Object whole(long value) {
            return (double) value;
        }

        @Override
        Object beyond(BigDecimal value) {
            return finite(value.doubleValue());
        }

        @Override
        Object decimal(BigDecimal value) {
            return finite(value.doubleValue());
        }

        @Override
        Object single(float value) {
            return finite(value);
        }

        @Override
        Object real(double value) {
            return finite(value);
        }
    }

    private static final class Day extends Column {
        Day(String path) {
            super(path, "date");
        }

        @Override
        Object day(long value) {
            return value >= FIRST_DAY && value <= LAST_DAY ? (Object) (int) value : outOfRange();
        }

        @Override
        Object utf8(byte[] bytes, int start, int length) {
            Integer day = TextDecoders.day(new String(bytes, start, length, StandardCharsets.UTF_8));
            return day == null ? DeadEvent.wrongType(path, TextDecoders.DATE) : day;
        }
    }

    private static final class Time extends Column {
        Time(String path) {
            super(path, "timestamp");
        }

        @Override
        Object time(long seconds, int nanos) {
            if (seconds < FIRST_MILLI / 1000 || seconds > LAST_MILLI / 1000 || nanos < 0 || nanos > 999_999_999) {
                return outOfRange();
            }
            int micros = nanos / 1000;
            return TimestampData.fromEpochMillis(seconds * 1000 + micros / 1000, micros % 1000 * 1000);
        }

        @Override
        Object utf8(byte[] bytes, int start, int length) {
            TimestampData time = TextDecoders.time(new String(bytes, start, length, StandardCharsets.UTF_8));
            return time == null ? DeadEvent.wrongType(path, TextDecoders.TIMESTAMP) : time;
        }
    }

    /** Returns the decimal of a two's complement number with so many places. */
    static BigDecimal decimalOf(byte[] bytes, int start, int length, int scale) {
        return new BigDecimal(new BigInteger(bytes, start, length), scale);
    }
}
