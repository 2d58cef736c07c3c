package io.keystone.registry;

import com.google.protobuf.Descriptors.Descriptor;
import com.google.protobuf.Descriptors.FieldDescriptor;
import com.google.protobuf.Descriptors.OneofDescriptor;
import io.keystone.format.DeadEvent;
import io.keystone.format.Leniency;
import io.keystone.registry.ProtoCompiler.Part;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.apache.flink.table.data.GenericRowData;
import org.apache.flink.table.types.logical.RowType;

/** Reads messages of one type as rows; fields that nobody declared are passed and not looked into. */
final class MessageReader {

    private static final int TAG_BITS = 3;
    private static final int WIRE = 7;
    private static final int MAX_DEPTH = 64;

    private final MessageField[] fields;
    private final boolean[] lenient;

    /** By field number; of the members of a oneof that are not declared too, since each ends the others. */
    private final Map<Integer, Known> known = new HashMap<>();

    /** @param position of the declared column, -1 for none; the others of its oneof that are declared. */
    private record Known(int position, FieldDescriptor field, int[] ends) {}

    MessageReader(Descriptor message, RowType declared, String path, Leniency leniency) {
        fields = new MessageField[declared.getFieldCount()];
        lenient = new boolean[fields.length];
        for (int position = 0; position < fields.length; position++) {
            RowType.RowField column = declared.getFields().get(position);
            String place = path.isEmpty() ? column.getName() : path + "." + column.getName();
            lenient[position] = leniency.covers(place);
            FieldDescriptor field = message.findFieldByName(column.getName());
            if (field != null) {
                fields[position] = MessageField.of(field, column.getType(), place, leniency);
                known.put(field.getNumber(), new Known(position, field, others(field, declared)));
            }
        }
        for (OneofDescriptor oneof : message.getRealOneofs()) {
            for (FieldDescriptor member : oneof.getFields()) {
                int[] ends = others(member, declared);
                if (ends.length > 0) {
                    known.putIfAbsent(member.getNumber(), new Known(-1, member, ends));
                }
            }
        }
    }

    private static int[] others(FieldDescriptor field, RowType declared) {
        OneofDescriptor oneof = field.getRealContainingOneof();
        if (oneof == null) {
            return new int[0];
        }
        return oneof.getFields().stream()
                .filter(other -> other != field)
                .mapToInt(other -> declared.getFieldIndex(other.getName()))
                .filter(position -> position >= 0)
                .toArray();
    }

    /** Returns the row, or the first value that does not fit. */
    Object read(ByteCursor cursor, List<Part> parts) throws DeadEvent {
        GenericRowData row = new GenericRowData(fields.length);
        DeadEvent dead = into(row, cursor, parts);
        return dead == null ? row : dead;
    }

    DeadEvent into(GenericRowData row, ByteCursor cursor, List<Part> parts) throws DeadEvent {
        Found[] found = new Found[fields.length];
        find(cursor, parts, found);
        DeadEvent first = null;
        for (int position = 0; position < fields.length; position++) {
            if (fields[position] == null) {
                continue;
            }
            Object value = fields[position].value(cursor, found[position]);
            if (value instanceof DeadEvent dead) {
                if (lenient[position] && dead.isMisfit()) {
                    value = null;
                } else {
                    first = first == null ? dead : first;
                }
            }
            row.setField(position, value);
        }
        return first;
    }

    /** What was found of a field: the parts of messages and repeated fields, the last bytes of others. */
    static final class Found {
        final List<Part> parts = new ArrayList<>(1);
        final List<Integer> wires = new ArrayList<>(1);

        void add(FieldDescriptor field, int start, int end, int wire) {
            if (!parts.isEmpty() && MessageField.onlyTheLastCounts(field)) {
                parts.clear();
                wires.clear();
            }
            parts.add(new Part(start, end));
            wires.add(wire);
        }
    }

    /** Finds one field, whatever is declared; null where it is not there. */
    static Found only(FieldDescriptor field, ByteCursor cursor, List<Part> parts) throws DeadEvent {
        Found found = null;
        for (Part part : parts) {
            cursor.window(part.start(), part.end());
            while (!cursor.atEnd()) {
                long tag = tag(cursor);
                int wire = (int) tag & WIRE;
                int start = cursor.position();
                skip(cursor, wire, (int) (tag >>> TAG_BITS), 0);
                if (tag >>> TAG_BITS == field.getNumber() && MessageField.isWire(field, wire)) {
                    found = found == null ? new Found() : found;
                    found.add(field, start, cursor.position(), wire);
                }
            }
        }
        return found;
    }

    private static long tag(ByteCursor cursor) throws DeadEvent {
        long tag = cursor.varint() & 0xFFFFFFFFL;
        if (tag >>> TAG_BITS == 0) {
            throw cursor.malformed();
        }
        return tag;
    }

    private void find(ByteCursor cursor, List<Part> parts, Found[] found) throws DeadEvent {
        for (Part part : parts) {
            cursor.window(part.start(), part.end());
            while (!cursor.atEnd()) {
                field(cursor, found);
            }
        }
    }

    private void field(ByteCursor cursor, Found[] found) throws DeadEvent {
        long tag = tag(cursor);
        int number = (int) (tag >>> TAG_BITS);
        int wire = (int) tag & WIRE;
        int start = cursor.position();
        skip(cursor, wire, number, 0);
        Known field = known.get(number);
        if (field == null || !MessageField.isWire(field.field(), wire)) {
            return;
        }
        for (int other : field.ends()) {
            found[other] = null;
        }
        if (field.position() >= 0) {
            if (found[field.position()] == null) {
                found[field.position()] = new Found();
            }
            found[field.position()].add(field.field(), start, cursor.position(), wire);
        }
    }

    private static void skip(ByteCursor cursor, int wire, int number, int depth) throws DeadEvent {
        switch (wire) {
            case Wire.VARINT -> cursor.varint();
            case Wire.FIXED64 -> cursor.pass(Long.BYTES);
            case Wire.LENGTH -> cursor.pass(cursor.length(cursor.varint()));
            case Wire.GROUP -> group(cursor, number, depth + 1);
            case Wire.FIXED32 -> cursor.pass(Integer.BYTES);
            default -> throw cursor.malformed();
        }
    }

    private static void group(ByteCursor cursor, int number, int depth) throws DeadEvent {
        if (depth > MAX_DEPTH) {
            throw new DeadEvent("too_deep", "more than " + MAX_DEPTH + " groups within each other");
        }
        while (true) {
            long tag = tag(cursor);
            int inner = (int) (tag >>> TAG_BITS);
            int wire = (int) tag & WIRE;
            if (wire == Wire.END_GROUP && inner == number) {
                return;
            }
            skip(cursor, wire, inner, depth);
        }
    }

    /** How a value is laid down. */
    static final class Wire {
        static final int VARINT = 0;
        static final int FIXED64 = 1;
        static final int LENGTH = 2;
        static final int GROUP = 3;
        static final int END_GROUP = 4;
        static final int FIXED32 = 5;

        private Wire() {}
    }
}
