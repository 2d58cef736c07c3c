package io.keystone.format;

import java.util.ArrayList;
import java.util.List;
import org.apache.flink.table.data.GenericArrayData;
import org.apache.flink.table.types.logical.LogicalType;

/** Decodes an array; its elements may be null. */
final class ArrayDecoder implements FieldDecoder {

    private final String path;
    private final FieldDecoder element;

    ArrayDecoder(LogicalType type, String path, Leniency leniency) {
        this.path = path;
        this.element = FieldDecoder.of(type, path + "[]", leniency);
    }

    @Override
    public Object decode(JsonCursor cursor) throws DeadEvent {
        if (cursor.kind() != JsonKind.ARRAY) {
            throw FieldDecoder.misfit(cursor, path, "array");
        }
        List<Object> elements = new ArrayList<>();
        cursor.enter();
        if (!cursor.passes(']')) {
            do {
                cursor.next();
                elements.add(cursor.passesNull() ? null : element(cursor, elements.size()));
            } while (cursor.passes(','));
            cursor.pass(']');
        }
        cursor.leave();
        return new GenericArrayData(elements.toArray());
    }

    private Object element(JsonCursor cursor, int index) throws DeadEvent {
        try {
            return element.decode(cursor);
        } catch (DeadEvent dead) {
            throw dead.inElement(path, index);
        }
    }
}
