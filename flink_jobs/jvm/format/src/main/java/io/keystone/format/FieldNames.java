package io.keystone.format;

import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.List;

/**
 * Finds the position of a declared field by the bytes of its name.
 *
 * <p>Producers write fields in one order, so each name remembers which one came after it, declared or not. Where an event goes
 * the same way, a field costs one comparison of bytes; else its name is scanned and looked up.
 */
final class FieldNames {

    static final int UNKNOWN = -1;

    /** Undeclared names that are remembered: enough for wide events, bounded for those whose names are data. */
    private static final int REMEMBERED = 1024;

    private static final int MAX_REMEMBERED_LENGTH = 64;

    private static final long MULTIPLIER = 0x9E3779B97F4A7C15L;

    /** Open addressing; at most a quarter of it is taken. */
    private final Name[] declared;

    /** A name has one place, and the first that comes keeps it. */
    private final Name[] undeclared = new Name[REMEMBERED];

    private final Name beforeFirst = new Name(new byte[0], UNKNOWN);

    private Name last = beforeFirst;

    private static final class Name {
        private final byte[] bytes;

        /** As producers write it, with quotes and colon. */
        private final byte[] written;

        private final int position;
        private Name next;

        private Name(byte[] bytes, int position) {
            this.bytes = bytes;
            this.position = position;
            this.written = new byte[bytes.length + 3];
            System.arraycopy(bytes, 0, written, 1, bytes.length);
            written[0] = '"';
            written[bytes.length + 1] = '"';
            written[bytes.length + 2] = ':';
        }

        private boolean is(byte[] other, int start, int end) {
            return Arrays.equals(bytes, 0, bytes.length, other, start, end);
        }
    }

    FieldNames(List<String> fields) {
        declared = new Name[Integer.highestOneBit(Math.max(1, fields.size())) << 3];
        for (int position = 0; position < fields.size(); position++) {
            byte[] bytes = fields.get(position).getBytes(StandardCharsets.UTF_8);
            int slot = hash(bytes, 0, bytes.length) & declared.length - 1;
            while (declared[slot] != null) {
                slot = slot + 1 & declared.length - 1;
            }
            declared[slot] = new Name(bytes, position);
        }
    }

    /** Starts an object. */
    void begin() {
        last = beforeFirst;
    }

    /** Passes a field's name, on whose first byte the cursor stands, and the colon. Returns its position, or UNKNOWN. */
    int pass(JsonCursor cursor) throws DeadEvent {
        Name expected = last.next;
        if (expected == null || !cursor.passes(expected.written)) {
            cursor.name();
            if (cursor.escaped()) {
                return escaped(cursor);
            }
            expected = find(cursor.bytes(), cursor.start(), cursor.end());
            if (expected == null) {
                return UNKNOWN;
            }
            last.next = expected;
        }
        last = expected;
        return expected.position;
    }

    private int escaped(JsonCursor cursor) {
        byte[] plain = Escapes.unescaped(cursor.bytes(), cursor.start(), cursor.end());
        Name found = plain == null ? null : find(plain, 0, plain.length);
        return found == null ? UNKNOWN : found.position;
    }

    /** Returns null for a name that is neither declared nor remembered. */
    private Name find(byte[] bytes, int start, int end) {
        int hash = hash(bytes, start, end);
        int slot = hash & declared.length - 1;
        for (; declared[slot] != null; slot = slot + 1 & declared.length - 1) {
            if (declared[slot].is(bytes, start, end)) {
                return declared[slot];
            }
        }
        slot = hash & REMEMBERED - 1;
        if (undeclared[slot] == null && isRememberable(bytes, start, end)) {
            undeclared[slot] = new Name(Arrays.copyOfRange(bytes, start, end), UNKNOWN);
        }
        Name there = undeclared[slot];
        return there != null && there.is(bytes, start, end) ? there : null;
    }

    /** A remembered name is not scanned again, so it must be ASCII: nobody has checked yet whether this is UTF-8. */
    private static boolean isRememberable(byte[] bytes, int start, int end) {
        if (end - start > MAX_REMEMBERED_LENGTH) {
            return false;
        }
        for (int at = start; at < end; at++) {
            if (bytes[at] < 0) {
                return false;
            }
        }
        return true;
    }

    /** Of the first and last eight bytes and the length: a name that collides is only compared in vain. */
    private static int hash(byte[] bytes, int start, int end) {
        int length = end - start;
        long mixed = length;
        if (length >= Long.BYTES) {
            mixed += Words.at(bytes, start) * MULTIPLIER ^ Words.at(bytes, end - Long.BYTES);
        } else {
            for (int at = start; at < end; at++) {
                mixed = mixed << Byte.SIZE | bytes[at] & 0xFF;
            }
        }
        // a product carries upwards only, and the lowest bits of the result choose the slot
        mixed ^= mixed >>> Integer.SIZE;
        return (int) (mixed * MULTIPLIER >>> Integer.SIZE);
    }
}
