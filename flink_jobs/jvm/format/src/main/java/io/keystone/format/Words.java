package io.keystone.format;

import java.lang.invoke.MethodHandles;
import java.lang.invoke.VarHandle;
import java.nio.ByteOrder;
import java.util.Arrays;

/**
 * Looks at eight bytes at once. A result has the high bit set in bytes that were found; carries and borrows may mark bytes
 * after the first one that is marked rightly, never one before it, so only {@link #first} means something.
 *
 * <p>H. S. Warren, Hacker's Delight, 2nd edition, section 6-1.
 */
final class Words {

    static final long NOTHING = 0;

    private static final VarHandle LONGS = MethodHandles.byteArrayViewVarHandle(long[].class, ByteOrder.LITTLE_ENDIAN);

    private static final long ONES = 0x0101010101010101L;
    private static final long HIGH_BITS = 0x80 * ONES;
    private static final long QUOTES = '"' * ONES;
    private static final long BACKSLASHES = '\\' * ONES;
    private static final long SPACES = ' ' * ONES;
    private static final long ZEROS = '0' * ONES;
    private static final long ABOVE_NINE = (0x80 - 10) * ONES;

    private Words() {}

    static long at(byte[] bytes, int index) {
        return (long) LONGS.get(bytes, index);
    }

    /** Finds quotes, backslashes and control characters: what may not stand in a JSON string as it is. */
    static long special(long word) {
        return ((word ^ QUOTES) - ONES | (word ^ BACKSLASHES) - ONES | word - SPACES) & ~word & HIGH_BITS;
    }

    static long nonDigits(long word) {
        long values = word ^ ZEROS;
        return (values + ABOVE_NINE | values) & HIGH_BITS;
    }

    /** Finds bytes outside ASCII. */
    static long high(long word) {
        return word & HIGH_BITS;
    }

    /** Whether {@code wanted} stands at {@code index}; the bytes must reach so far. Faster than the JDK's for a few words. */
    static boolean stands(byte[] wanted, byte[] bytes, int index) {
        int last = wanted.length - Long.BYTES;
        if (last < 0) {
            return Arrays.equals(wanted, 0, wanted.length, bytes, index, index + wanted.length);
        }
        for (int at = 0; at < last; at += Long.BYTES) {
            if (at(wanted, at) != at(bytes, index + at)) {
                return false;
            }
        }
        return at(wanted, last) == at(bytes, index + last);
    }

    /** Returns how many bytes lie before the first that was found. */
    static int first(long found) {
        return Long.numberOfTrailingZeros(found) >>> 3;
    }
}
