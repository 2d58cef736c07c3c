package io.keystone.format;

import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.List;

/**
 * Finds the position of a declared field by the bytes of its name. Most names of a wide event are undeclared, so what must be
 * fast is to say no; and producers write fields in one order, so the field after the last one is tried first.
 */
final class FieldNames {

    static final int UNKNOWN = -1;

    private final byte[][] names;

    /** Open addressing; a slot holds a position plus one, so that 0 is empty. At most a quarter of it is taken. */
    private final int[] slots;

    private int expected;

    FieldNames(List<String> declared) {
        names = declared.stream().map(name -> name.getBytes(StandardCharsets.UTF_8)).toArray(byte[][]::new);
        slots = new int[Integer.highestOneBit(Math.max(1, names.length)) << 3];
        for (int position = 0; position < names.length; position++) {
            int slot = hash(names[position], 0, names[position].length);
            while (slots[slot] != 0) {
                slot = slot + 1 & slots.length - 1;
            }
            slots[slot] = position + 1;
        }
    }

    /** Returns the position of the name that the cursor has just passed. */
    int find(JsonCursor cursor) {
        if (!cursor.escaped()) {
            return find(cursor.bytes(), cursor.start(), cursor.end());
        }
        byte[] plain = Escapes.unescaped(cursor.bytes(), cursor.start(), cursor.end());
        return plain == null ? UNKNOWN : find(plain, 0, plain.length);
    }

    private int find(byte[] bytes, int start, int end) {
        if (expected < names.length && isName(expected, bytes, start, end)) {
            return expected++;
        }
        for (int slot = hash(bytes, start, end); slots[slot] != 0; slot = slot + 1 & slots.length - 1) {
            int position = slots[slot] - 1;
            if (isName(position, bytes, start, end)) {
                expected = position + 1;
                return position;
            }
        }
        return UNKNOWN;
    }

    private boolean isName(int position, byte[] bytes, int start, int end) {
        byte[] name = names[position];
        return name.length == end - start && Arrays.equals(name, 0, name.length, bytes, start, end);
    }

    /** A few bytes are enough: a name that collides is only compared in vain. */
    private int hash(byte[] bytes, int start, int end) {
        int length = end - start;
        if (length == 0) {
            return 0;
        }
        int mixed = length + 31 * bytes[start] + 961 * bytes[end - 1] + 29_791 * bytes[start + length / 2];
        return (mixed ^ mixed >>> 7) & slots.length - 1;
    }
}
