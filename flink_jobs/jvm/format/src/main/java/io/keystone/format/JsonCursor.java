package io.keystone.format;

import org.apache.flink.core.memory.MemorySegment;
import org.apache.flink.core.memory.MemorySegmentFactory;
import org.apache.flink.table.data.StringData;
import org.apache.flink.table.data.binary.BinaryStringData;

/**
 * A place in an event's JSON. A text is a view of the payload's bytes: no character is decoded.
 *
 * <p>Callers stand on the first byte of a value, as {@link #next} leaves them, and every method that reads a value leaves
 * the cursor behind it.
 */
final class JsonCursor {

    private final JsonScanner scanner = new JsonScanner();

    private byte[] bytes;
    private int at;
    private int depth;

    /** Where the last number or the inside of the last string begins and ends. */
    private int start;

    private int end;

    private MemorySegment[] segments;

    void reset(byte[] payload) {
        bytes = payload;
        scanner.reset(payload);
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

    /** Whether the last string holds a backslash. */
    boolean escaped() {
        return scanner.escaped();
    }

    boolean sawOnlyAscii() {
        return scanner.sawOnlyAscii();
    }

    /** Skips white space. Returns whether nothing else is left. */
    boolean atEnd() {
        at = scanner.space(at);
        return at == bytes.length;
    }

    /** Goes to the next value's or token's first byte. */
    void next() throws DeadEvent {
        at = scanner.token(at);
    }

    /** Passes that byte, after white space, if it is there. */
    boolean passes(char wanted) throws DeadEvent {
        next();
        if (bytes[at] != wanted) {
            return false;
        }
        at++;
        return true;
    }

    void pass(char wanted) throws DeadEvent {
        at = scanner.pass(at, wanted);
    }

    /** Passes these bytes if they are the next. */
    boolean passes(byte[] wanted) {
        int behind = at + wanted.length;
        if (behind > bytes.length || !Words.stands(wanted, bytes, at)) {
            return false;
        }
        at = behind;
        return true;
    }

    /** Passes an object's or array's first byte. */
    void enter() throws DeadEvent {
        depth = JsonScanner.deeper(depth);
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
        at = scanner.literal(at, "null");
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
        boolean value = bytes[at] == 't';
        at = scanner.literal(at, Boolean.toString(value));
        return value;
    }

    /** Passes a string and notes where its inside is. */
    void string() throws DeadEvent {
        start = at + 1;
        at = scanner.string(at);
        end = at - 1;
    }

    /** Passes a number, notes where it is and returns INTEGER or FRACTION. */
    JsonKind number() throws DeadEvent {
        start = at;
        at = scanner.number(at);
        end = at;
        return scanner.fraction() ? JsonKind.FRACTION : JsonKind.INTEGER;
    }

    /** Passes a field's name and the colon, and notes where the name is. */
    void name() throws DeadEvent {
        string();
        pass(':');
    }

    /** Passes a value of any kind. */
    void skip() throws DeadEvent {
        at = scanner.value(at, depth);
    }

    /** Passes a value that is neither object nor array. */
    JsonKind skipScalar() throws DeadEvent {
        JsonKind kind = kind();
        if (kind == JsonKind.INTEGER) {
            return number();
        }
        skip();
        return kind;
    }

    /** Returns the last string. Null if it holds half of a surrogate pair, for which there is no UTF-8. */
    StringData text() {
        if (escaped()) {
            byte[] plain = Escapes.unescaped(bytes, start, end);
            return plain == null ? null : StringData.fromBytes(plain);
        }
        if (segments == null) {
            segments = new MemorySegment[] {MemorySegmentFactory.wrap(bytes)};
        }
        return new BinaryStringData(segments, start, end - start);
    }
}
