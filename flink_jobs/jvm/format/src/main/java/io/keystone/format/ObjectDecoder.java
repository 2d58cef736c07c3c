package io.keystone.format;

import java.io.IOException;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.core.JsonParser;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.core.JsonToken;
import org.apache.flink.table.data.GenericRowData;
import org.apache.flink.table.types.logical.RowType;

/** Decodes an object's declared fields and skips the others without building them. */
final class ObjectDecoder implements FieldDecoder {

    private final String path;
    private final Map<String, Integer> positions = new HashMap<>();
    private final FieldDecoder[] decoders;
    private final String[] paths;

    /** The object in which a field was last seen, by the count of objects: finds duplicates without clearing a set. */
    private final long[] seenIn;

    private long object;

    ObjectDecoder(RowType type, String path) {
        List<RowType.RowField> fields = type.getFields();
        this.path = path;
        this.decoders = new FieldDecoder[fields.size()];
        this.paths = new String[fields.size()];
        this.seenIn = new long[fields.size()];
        for (int position = 0; position < decoders.length; position++) {
            RowType.RowField field = fields.get(position);
            positions.put(field.getName(), position);
            paths[position] = path.isEmpty() ? field.getName() : path + "." + field.getName();
            decoders[position] = FieldDecoder.of(field.getType(), paths[position]);
        }
    }

    @Override
    public Object decode(JsonParser parser, JsonToken token) throws IOException, DeadEvent {
        if (token != JsonToken.START_OBJECT) {
            throw TypeNames.wrongType(path, "object", token);
        }
        GenericRowData row = new GenericRowData(decoders.length);
        decodeInto(parser, row);
        return row;
    }

    /** Reads up to the object's end; the parser stands on its start. Fields that are missing stay as they are. */
    void decodeInto(JsonParser parser, GenericRowData row) throws IOException, DeadEvent {
        object++;
        for (String name = parser.nextFieldName(); name != null; name = parser.nextFieldName()) {
            JsonToken token = parser.nextToken();
            Integer position = positions.get(name);
            if (position == null) {
                parser.skipChildren();
                continue;
            }
            if (seenIn[position] == object) {
                throw new DeadEvent("duplicate_field", paths[position]);
            }
            seenIn[position] = object;
            if (token != JsonToken.VALUE_NULL) {
                row.setField(position, decoders[position].decode(parser, token));
            }
        }
    }
}
