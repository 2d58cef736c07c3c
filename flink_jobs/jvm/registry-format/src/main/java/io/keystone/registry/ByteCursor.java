package io.keystone.registry;

import io.keystone.format.DeadEvent;
import java.lang.invoke.MethodHandles;
import java.lang.invoke.VarHandle;
import java.nio.ByteOrder;

/** A place in a payload, bounded: nothing is allocated and nothing passed by what a length says before it is known to be there. */
final class ByteCursor {

    private static final VarHandle INTS = MethodHandles.byteArrayViewVarHandle(int[].class, ByteOrder.LITTLE_ENDIAN);
    private static final VarHandle LONGS = MethodHandles.byteArrayViewVarHandle(long[].class, ByteOrder.LITTLE_ENDIAN);

    private static final int LONGEST_VARINT = 10;

    /** Code of what is thrown where the bytes can't be read. */
    private final String code;

    private byte[] bytes;
    private int at;
    private int end;

    ByteCursor(String code) {
        this.code = code;
    }

    void reset(byte[] payload, int from) {
        bytes = payload;
        at = from;
        end = payload.length;
    }

    byte[] bytes() {
        return bytes;
    }

    int position() {
        return at;
    }

    int end() {
        return end;
    }

    /** Looks at this part of the payload only, from now on. */
    void window(int from, int to) {
        at = from;
        end = to;
    }

    boolean atEnd() {
        return at == end;
    }

    int remaining() {
        return end - at;
    }

    DeadEvent malformed() {
        return new DeadEvent(code, "at byte " + at);
    }

    int octet() throws DeadEvent {
        need(1);
        return bytes[at++] & 0xFF;
    }

    /** Reads a base-128 number of at most 64 bits, seven to a byte, the lowest first; bits beyond are dropped. */
    long varint() throws DeadEvent {
        long value = 0;
        for (int index = 0; index < LONGEST_VARINT; index++) {
            int next = octet();
            value |= (long) (next & 0x7F) << 7 * index;
            if (next < 0x80) {
                return value;
            }
        }
        throw malformed();
    }

    long zigzag() throws DeadEvent {
        long value = varint();
        return value >>> 1 ^ -(value & 1);
    }

    int fixed32() throws DeadEvent {
        need(Integer.BYTES);
        int value = (int) INTS.get(bytes, at);
        at += Integer.BYTES;
        return value;
    }

    long fixed64() throws DeadEvent {
        need(Long.BYTES);
        long value = (long) LONGS.get(bytes, at);
        at += Long.BYTES;
        return value;
    }

    /** Checks a length against what is left. */
    int length(long announced) throws DeadEvent {
        if (announced < 0 || announced > remaining()) {
            throw malformed();
        }
        return (int) announced;
    }

    /** Passes so many bytes and returns where they begin. */
    int pass(int count) throws DeadEvent {
        need(count);
        int start = at;
        at += count;
        return start;
    }

    private void need(int count) throws DeadEvent {
        if (end - at < count) {
            throw malformed();
        }
    }
}
