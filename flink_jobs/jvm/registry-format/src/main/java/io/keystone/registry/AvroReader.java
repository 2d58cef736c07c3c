package io.keystone.registry;

import io.keystone.format.DeadEvent;

/**
 * Reads a value of one writer's type for one declared column, or passes it where none wants it. It always reads all of the value,
 * so that a lenient column can be null and reading goes on behind it.
 */
interface AvroReader {

    /** Objects, arrays and maps within each other, the event included; as in JSON. */
    int MAX_DEPTH = 64;

    /**
     * @param depth how many objects, arrays and maps the value is in.
     * @return Flink's value, null, or a {@link DeadEvent} for a value that the column does not take.
     * @throws DeadEvent the bytes are not what the schema says, or too deep.
     */
    Object read(ByteCursor cursor, int depth) throws DeadEvent;

    static int deeper(int depth) throws DeadEvent {
        if (depth >= MAX_DEPTH) {
            throw new DeadEvent("too_deep", "more than " + MAX_DEPTH + " objects, arrays and maps within each other");
        }
        return depth + 1;
    }
}
