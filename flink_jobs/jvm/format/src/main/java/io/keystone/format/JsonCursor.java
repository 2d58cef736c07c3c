package io.keystone.format;

import java.lang.invoke.MethodHandles;
import java.lang.invoke.VarHandle;
import java.nio.ByteOrder;
import org.apache.flink.core.memory.MemorySegment;
import org.apache.flink.core.memory.MemorySegmentFactory;
import org.apache.flink.table.data.StringData;
import org.apache.flink.table.data.binary.BinaryStringData;

/**
 * Walks over JSON (RFC 8259) in well-formed UTF-8. It builds nothing of what is skipped, and a text is a view of the
 * payload's bytes: no character is decoded. Whatever it passes it has checked.
 *
 * <p>Callers stand on the first byte of a value, as {@link #next} leaves them, and every method that reads a value leaves
 * the cursor behind it.
 */
final class JsonCursor {

    /** Objects and arrays within each other, the event itself included. */
    static final int MAX_DEPTH = 64;

    private static final VarHandle LONGS = MethodHandles.byteArrayViewVarHandle(long[].class, ByteOrder.LITTLE_ENDIAN);
    private static final long ONES = 0x0101010101010101L;
    private static final long HIGH_BITS = 0x8080808080808080L;
    private static final long QUOTES = ONES * '"';
    private static final long BACKSLASHES = ONES * '\\';
    private static final long SPACES = ONES * ' ';

    private static final int UNICODE_ESCAPE = 6;

    private byte[] bytes;
    private int at;
    private int depth;

    /** Where the last number or the inside of the last string begins and ends. */
    private int start;

    private int end;
    private boolean escaped;

    private MemorySegment[] segments;

    void reset(byte[] payload) {
        bytes = payload;
        at = 0;
        depth = 0;
        segments = null;
    }

    byte[] bytes() {
        return bytes;
    }

    int position() {
        return at;
    }

    int depth() {
        return depth;
    }

    /** Goes back to a value that was begun at that place and depth. */
    void rewind(int position, int depthThere) {
        at = position;
        depth = depthThere;
    }

    int start() {
        return start;
    }

    int end() {
        return end;
    }

    boolean escaped() {
        return escaped;
    }

    /** Skips white space. Returns the byte after it, which is not passed, or -1 at the end. */
    int nextOrEnd() {
        while (at < bytes.length) {
            byte here = bytes[at];
            if (here > ' ') {
                return here;
            }
            if (here != ' ' && here != '\n' && here != '\r' && here != '\t') {
                return here & 0xFF;
            }
            at++;
        }
        return -1;
    }

    int next() throws DeadEvent {
        int found = nextOrEnd();
        if (found < 0) {
            throw DeadEvent.endsEarly();
        }
        return found;
    }

    /** Passes that byte, after white space, if it is there. */
    boolean passes(char wanted) throws DeadEvent {
        if (next() != wanted) {
            return false;
        }
        at++;
        return true;
    }

    void pass(char wanted) throws DeadEvent {
        if (!passes(wanted)) {
            throw DeadEvent.notJson(at);
        }
    }

    /** Passes an object's or array's first byte. */
    void enter() throws DeadEvent {
        if (++depth > MAX_DEPTH) {
            throw new DeadEvent("too_deep", "more than " + MAX_DEPTH + " levels");
        }
        at++;
    }

    void leave() {
        depth--;
    }

    /** Passes null if it is there. */
    boolean passesNull() throws DeadEvent {
        if (bytes[at] != 'n') {
            return false;
        }
        literal("null");
        return true;
    }

    /** Returns what the value is without passing it; a number may turn out to be none. */
    JsonKind kind() throws DeadEvent {
        return switch (bytes[at]) {
            case '{' -> JsonKind.OBJECT;
            case '[' -> JsonKind.ARRAY;
            case '"' -> JsonKind.STRING;
            case 't', 'f' -> JsonKind.BOOLEAN;
            case 'n' -> JsonKind.NULL;
            case '-', '0', '1', '2', '3', '4', '5', '6', '7', '8', '9' -> JsonKind.INTEGER;
            default -> throw DeadEvent.notJson(at);
        };
    }

    boolean bool() throws DeadEvent {
        if (bytes[at] == 't') {
            literal("true");
            return true;
        }
        literal("false");
        return false;
    }

    /** Passes a string and notes where its inside is. */
    void string() throws DeadEvent {
        if (bytes[at] != '"') {
            throw DeadEvent.notJson(at);
        }
        start = ++at;
        escaped = false;
        while (true) {
            at = indexOfSpecial(at);
            if (at == bytes.length) {
                throw DeadEvent.endsEarly();
            }
            if (bytes[at] == '"') {
                end = at++;
                return;
            }
            if (bytes[at] != '\\') {
                throw DeadEvent.notJson(at);
            }
            escaped = true;
            escape();
        }
    }

    /** Returns the index of the next quote, backslash or control character, or the payload's length. */
    private int indexOfSpecial(int from) {
        int index = from;
        for (; index <= bytes.length - Long.BYTES; index += Long.BYTES) {
            long word = (long) LONGS.get(bytes, index);
            long found = (zeros(word ^ QUOTES) | zeros(word ^ BACKSLASHES) | (word - SPACES) & ~word) & HIGH_BITS;
            if (found != 0) {
                // a borrow may mark bytes after the first one that is marked rightly, never one before it
                return index + (Long.numberOfTrailingZeros(found) >>> 3);
            }
        }
        for (; index < bytes.length; index++) {
            byte here = bytes[index];
            if (here == '"' || here == '\\' || here >= 0 && here < ' ') {
                return index;
            }
        }
        return index;
    }

    private static long zeros(long word) {
        return (word - ONES) & ~word;
    }

    private void escape() throws DeadEvent {
        if (at + 1 == bytes.length) {
            throw DeadEvent.endsEarly();
        }
        switch (bytes[at + 1]) {
            case '"', '\\', '/', 'b', 'f', 'n', 'r', 't' -> at += 2;
            case 'u' -> {
                for (int digit = at + 2; digit < at + UNICODE_ESCAPE; digit++) {
                    if (digit == bytes.length) {
                        throw DeadEvent.endsEarly();
                    }
                    if (Character.digit(bytes[digit], 16) < 0) {
                        throw DeadEvent.notJson(digit);
                    }
                }
                at += UNICODE_ESCAPE;
            }
            default -> throw DeadEvent.notJson(at + 1);
        }
    }

    /** Passes a number, notes where it is and returns INTEGER or FRACTION. */
    JsonKind number() throws DeadEvent {
        start = at;
        if (bytes[at] == '-') {
            at++;
        }
        if (here() == '0') {
            at++;
        } else {
            digits();
        }
        JsonKind kind = JsonKind.INTEGER;
        if (at < bytes.length && bytes[at] == '.') {
            kind = JsonKind.FRACTION;
            at++;
            digits();
        }
        if (at < bytes.length && (bytes[at] == 'e' || bytes[at] == 'E')) {
            kind = JsonKind.FRACTION;
            at++;
            if (here() == '+' || here() == '-') {
                at++;
            }
            digits();
        }
        end = at;
        return kind;
    }

    private int here() throws DeadEvent {
        if (at == bytes.length) {
            throw DeadEvent.endsEarly();
        }
        return bytes[at];
    }

    private void digits() throws DeadEvent {
        if (here() < '0' || here() > '9') {
            throw DeadEvent.notJson(at);
        }
        while (at < bytes.length && bytes[at] >= '0' && bytes[at] <= '9') {
            at++;
        }
    }

    private void literal(String text) throws DeadEvent {
        for (int index = 0; index < text.length(); index++, at++) {
            if (here() != text.charAt(index)) {
                throw DeadEvent.notJson(at);
            }
        }
    }

    /** Passes a value of any kind. */
    JsonKind skip() throws DeadEvent {
        JsonKind kind = kind();
        switch (kind) {
            case OBJECT, ARRAY -> skipNested();
            case STRING -> string();
            case BOOLEAN -> bool();
            case NULL -> literal("null");
            default -> {
                return number();
            }
        }
        return kind;
    }

    /** Passes an object or array. Which of the two each open level is, is a bit: there are no more levels than bits. */
    private void skipNested() throws DeadEvent {
        int outside = depth;
        long objects = 0;
        boolean isObject = false;
        do {
            // here the cursor stands on a value's first byte
            int first = bytes[at];
            if (first == '{' || first == '[') {
                isObject = first == '{';
                enter();
                objects = isObject ? objects | 1L << depth : objects & ~(1L << depth);
                if (!passes(isObject ? '}' : ']')) {
                    if (isObject) {
                        name();
                    }
                    next();
                    continue;
                }
                depth--;
                isObject = (objects >>> depth & 1) != 0;
            } else {
                skip();
            }
            while (depth > outside && !passes(',')) {
                pass(isObject ? '}' : ']');
                depth--;
                isObject = (objects >>> depth & 1) != 0;
            }
            if (depth > outside) {
                if (isObject) {
                    next();
                    name();
                }
                next();
            }
        } while (depth > outside);
    }

    /** Passes a field's name and the colon, and notes where the name is. */
    void name() throws DeadEvent {
        string();
        pass(':');
    }

    /** Returns the last string. Null if it holds half of a surrogate pair, for which there is no UTF-8. */
    StringData text() {
        if (escaped) {
            byte[] plain = Escapes.unescaped(bytes, start, end);
            return plain == null ? null : StringData.fromBytes(plain);
        }
        if (segments == null) {
            segments = new MemorySegment[] {MemorySegmentFactory.wrap(bytes)};
        }
        return new BinaryStringData(segments, start, end - start);
    }
}
