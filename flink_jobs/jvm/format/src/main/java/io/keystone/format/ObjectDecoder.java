package io.keystone.format;

import java.util.List;
import org.apache.flink.table.data.GenericRowData;
import org.apache.flink.table.types.logical.RowType;

/** Decodes an object's declared fields and skips the others without building them. */
final class ObjectDecoder implements FieldDecoder {

    private final String path;
    private final FieldNames names;
    private final FieldDecoder[] decoders;
    private final String[] paths;
    private final boolean[] lenient;

    /** The object in which a field was last seen, by the count of objects: finds duplicates without clearing a set. */
    private final long[] seenIn;

    private long objects;

    ObjectDecoder(RowType type, String path, Leniency leniency) {
        List<RowType.RowField> fields = type.getFields();
        this.path = path;
        this.names = new FieldNames(type.getFieldNames());
        this.decoders = new FieldDecoder[fields.size()];
        this.paths = new String[fields.size()];
        this.lenient = new boolean[fields.size()];
        this.seenIn = new long[fields.size()];
        for (int position = 0; position < decoders.length; position++) {
            RowType.RowField field = fields.get(position);
            paths[position] = path.isEmpty() ? field.getName() : path + "." + field.getName();
            lenient[position] = leniency.covers(paths[position]);
            decoders[position] = FieldDecoder.of(field.getType(), paths[position], leniency);
        }
    }

    @Override
    public Object decode(JsonCursor cursor) throws DeadEvent {
        if (cursor.kind() != JsonKind.OBJECT) {
            throw FieldDecoder.misfit(cursor, path, "object");
        }
        GenericRowData row = new GenericRowData(decoders.length);
        decodeInto(cursor, row);
        return row;
    }

    /** Reads the object that the cursor stands on. Fields that are missing stay as they are. */
    void decodeInto(JsonCursor cursor, GenericRowData row) throws DeadEvent {
        long object = ++objects;
        cursor.enter();
        if (!cursor.passes('}')) {
            names.begin();
            do {
                cursor.next();
                int position = names.pass(cursor);
                cursor.next();
                if (position == FieldNames.UNKNOWN) {
                    cursor.skip();
                    continue;
                }
                if (seenIn[position] == object) {
                    throw new DeadEvent("duplicate_field", paths[position]);
                }
                seenIn[position] = object;
                row.setField(position, cursor.passesNull() ? null : field(cursor, position));
            } while (cursor.passes(','));
            cursor.pass('}');
        }
        cursor.leave();
    }

    private Object field(JsonCursor cursor, int position) throws DeadEvent {
        int begin = cursor.position();
        int depth = cursor.depth();
        try {
            return decoders[position].decode(cursor);
        } catch (DeadEvent dead) {
            if (!lenient[position] || !dead.isMisfit()) {
                throw dead;
            }
            cursor.rewind(begin, depth);
            cursor.skip();
            return null;
        }
    }
}
