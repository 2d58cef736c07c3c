package io.keystone.format;

import java.nio.charset.StandardCharsets;

/** Numbers. An integer is written without fraction and exponent; nothing is rounded to fit an integer or wraps around. */
final class NumberDecoders {

    private static final int SAFE_LONG_DIGITS = 18;

    /** Up to here a double holds every integer and every power of ten exactly, so one division or product is correctly rounded. */
    private static final int SAFE_DOUBLE_DIGITS = 15;

    private static final double[] POWERS_OF_TEN = {
        1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15
    };

    private NumberDecoders() {}

    record Int(String path) implements FieldDecoder {
        @Override
        public Object decode(JsonCursor cursor) throws DeadEvent {
            long value = integer(cursor, path, "int");
            if (value != (int) value) {
                throw DeadEvent.outOfRange(path, "int");
            }
            return (int) value;
        }
    }

    record Bigint(String path) implements FieldDecoder {
        @Override
        public Object decode(JsonCursor cursor) throws DeadEvent {
            return integer(cursor, path, "bigint");
        }
    }

    record SinglePrecision(String path) implements FieldDecoder {
        @Override
        public Object decode(JsonCursor cursor) throws DeadEvent {
            number(cursor, path, "float");
            float value = Float.parseFloat(text(cursor));
            if (!Float.isFinite(value)) {
                throw DeadEvent.outOfRange(path, "float");
            }
            return value;
        }
    }

    record DoublePrecision(String path) implements FieldDecoder {
        @Override
        public Object decode(JsonCursor cursor) throws DeadEvent {
            number(cursor, path, "double");
            double value = usual(cursor);
            if (Double.isNaN(value)) {
                value = Double.parseDouble(text(cursor));
            }
            if (!Double.isFinite(value)) {
                throw DeadEvent.outOfRange(path, "double");
            }
            return value;
        }
    }

    private static long integer(JsonCursor cursor, String path, String type) throws DeadEvent {
        if (number(cursor, path, type) != JsonKind.INTEGER) {
            throw DeadEvent.wrongType(path, type, JsonKind.FRACTION);
        }
        byte[] bytes = cursor.bytes();
        boolean negative = bytes[cursor.start()] == '-';
        int first = negative ? cursor.start() + 1 : cursor.start();
        if (cursor.end() - first > SAFE_LONG_DIGITS) {
            return longOf(cursor, path, type);
        }
        long value = 0;
        for (int at = first; at < cursor.end(); at++) {
            value = value * 10 + (bytes[at] - '0');
        }
        return negative ? -value : value;
    }

    private static long longOf(JsonCursor cursor, String path, String type) throws DeadEvent {
        try {
            return Long.parseLong(text(cursor));
        } catch (NumberFormatException outside) {
            throw DeadEvent.outOfRange(path, type);
        }
    }

    private static JsonKind number(JsonCursor cursor, String path, String type) throws DeadEvent {
        if (cursor.kind() != JsonKind.INTEGER) {
            throw FieldDecoder.misfit(cursor, path, type);
        }
        return cursor.number();
    }

    /**
     * Returns the value of a number of few digits and without exponent, or NaN for any other.
     *
     * <p>W. D. Clinger, How to read floating point numbers accurately (PLDI 1990): both operands are exact.
     */
    private static double usual(JsonCursor cursor) {
        byte[] bytes = cursor.bytes();
        boolean negative = bytes[cursor.start()] == '-';
        int first = negative ? cursor.start() + 1 : cursor.start();
        if (cursor.end() - first > SAFE_DOUBLE_DIGITS + 1) {
            return Double.NaN;
        }
        long digits = 0;
        int point = cursor.end() - 1;
        for (int at = first; at < cursor.end(); at++) {
            int digit = bytes[at] - '0';
            if (digit >= 0 && digit <= 9) {
                digits = digits * 10 + digit;
            } else if (bytes[at] == '.') {
                point = at;
            } else {
                return Double.NaN;
            }
        }
        if (point == cursor.end() - 1 && cursor.end() - first > SAFE_DOUBLE_DIGITS) {
            return Double.NaN;
        }
        double value = digits / POWERS_OF_TEN[cursor.end() - 1 - point];
        return negative ? -value : value;
    }

    private static String text(JsonCursor cursor) {
        return new String(cursor.bytes(), cursor.start(), cursor.end() - cursor.start(), StandardCharsets.ISO_8859_1);
    }
}
