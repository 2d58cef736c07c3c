package io.keystone.registry;

import com.google.protobuf.Descriptors.Descriptor;
import com.google.protobuf.Descriptors.FieldDescriptor;
import io.keystone.format.DeadEvent;
import io.keystone.format.Leniency;
import io.keystone.registry.MessageReader.Found;
import io.keystone.registry.MessageReader.Wire;
import io.keystone.registry.ProtoCompiler.Part;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.apache.flink.table.data.GenericArrayData;
import org.apache.flink.table.data.GenericRowData;
import org.apache.flink.table.types.logical.ArrayType;
import org.apache.flink.table.types.logical.LogicalType;
import org.apache.flink.table.types.logical.LogicalTypeRoot;
import org.apache.flink.table.types.logical.RowType;

/** Turns what was found of a field into the value of its column. */
interface MessageField {

    String TIMESTAMP = "google.protobuf.Timestamp";

    Set<String> WRAPPERS = Set.of(
            "google.protobuf.DoubleValue",
            "google.protobuf.FloatValue",
            "google.protobuf.Int64Value",
            "google.protobuf.UInt64Value",
            "google.protobuf.Int32Value",
            "google.protobuf.UInt32Value",
            "google.protobuf.BoolValue",
            "google.protobuf.StringValue",
            "google.protobuf.BytesValue");

    /**
     * @param found null where the field is not there.
     * @return Flink's value, null, or a {@link DeadEvent} for one that the column does not take.
     */
    Object value(ByteCursor cursor, Found found) throws DeadEvent;

    static MessageField of(FieldDescriptor field, LogicalType declared, String path, Leniency leniency) {
        if (field.isMapField()) {
            return map(field, declared, path, leniency);
        }
        if (field.isRepeated()) {
            return repeated(field, declared, path);
        }
        if (field.getJavaType() != FieldDescriptor.JavaType.MESSAGE) {
            return scalar(field, declared, path, field.hasPresence());
        }
        return message(field, declared, path, leniency);
    }

    private static MessageField scalar(FieldDescriptor field, LogicalType declared, String path, boolean hasPresence) {
        if (declared.is(LogicalTypeRoot.ROW) || declared.is(LogicalTypeRoot.ARRAY)) {
            return never(path, declared, kind(field), !hasPresence);
        }
        ProtoScalars.Reader reader = ProtoScalars.reader(field, Column.of(declared, path));
        Object absent = hasPresence ? null : ProtoScalars.byDefault(field, Column.of(declared, path));
        return (cursor, found) -> found == null ? absent : ProtoScalars.last(cursor, found, reader);
    }

    private static MessageField message(FieldDescriptor field, LogicalType declared, String path, Leniency leniency) {
        Descriptor type = field.getMessageType();
        if (field.getType() == FieldDescriptor.Type.GROUP || declared.is(LogicalTypeRoot.ARRAY)) {
            return never(path, declared, "object", false);
        }
        if (declared.is(LogicalTypeRoot.ROW)) {
            MessageReader reader = new MessageReader(type, (RowType) declared, path, leniency);
            return (cursor, found) -> found == null ? null : reader.read(cursor, ProtoScalars.inside(cursor, found.parts));
        }
        Column column = Column.of(declared, path);
        if (type.getFullName().equals(TIMESTAMP)) {
            return (cursor, found) -> found == null ? null : ProtoScalars.time(cursor, ProtoScalars.inside(cursor, found.parts), column);
        }
        if (WRAPPERS.contains(type.getFullName())) {
            FieldDescriptor value = type.findFieldByName("value");
            ProtoScalars.Reader reader = ProtoScalars.reader(value, column);
            Object absent = ProtoScalars.byDefault(value, column);
            return (cursor, found) -> {
                if (found == null) {
                    return null;
                }
                Found inner = ProtoScalars.field(cursor, ProtoScalars.inside(cursor, found.parts), value);
                return inner == null ? absent : ProtoScalars.last(cursor, inner, reader);
            };
        }
        return never(path, declared, "object", false);
    }

    private static MessageField repeated(FieldDescriptor field, LogicalType declared, String path) {
        if (!declared.is(LogicalTypeRoot.ARRAY)) {
            return never(path, declared, "array", false);
        }
        if (field.getJavaType() == FieldDescriptor.JavaType.MESSAGE) {
            DeadEvent why = DeadEvent.wrongType(path + "[0]", "expected a plain value, got object");
            return (cursor, found) -> found == null ? new GenericArrayData(new Object[0]) : why;
        }
        ProtoScalars.Reader reader = ProtoScalars.reader(field, Column.of(((ArrayType) declared).getElementType(), path + "[]"));
        return (cursor, found) -> {
            List<Object> elements = new ArrayList<>();
            DeadEvent first = found == null ? null : ProtoScalars.all(cursor, found, field, reader, path, elements);
            return first == null ? new GenericArrayData(elements.toArray()) : first;
        };
    }

    /** A map as an object: its keys are the columns' names. Of equal keys the last counts. */
    private static MessageField map(FieldDescriptor field, LogicalType declared, String path, Leniency leniency) {
        FieldDescriptor key = field.getMessageType().findFieldByNumber(1);
        FieldDescriptor value = field.getMessageType().findFieldByNumber(2);
        if (!declared.is(LogicalTypeRoot.ROW) || key.getType() != FieldDescriptor.Type.STRING) {
            return never(path, declared, "a map", false);
        }
        RowType columns = (RowType) declared;
        Map<String, Integer> positions = new HashMap<>();
        MessageField[] values = new MessageField[columns.getFieldCount()];
        boolean[] lenient = new boolean[values.length];
        for (int position = 0; position < values.length; position++) {
            String name = columns.getFieldNames().get(position);
            positions.put(name, position);
            lenient[position] = leniency.covers(path + "." + name);
            boolean isMessage = value.getJavaType() == FieldDescriptor.JavaType.MESSAGE;
            values[position] = isMessage
                    ? of(value, columns.getTypeAt(position), path + "." + name, leniency)
                    : scalar(value, columns.getTypeAt(position), path + "." + name, false);
        }
        return (cursor, found) -> {
            GenericRowData row = new GenericRowData(values.length);
            DeadEvent first = null;
            for (Part entry : found == null ? List.<Part>of() : ProtoScalars.inside(cursor, found.parts)) {
                Integer position = positions.get(keyOf(cursor, entry, key));
                if (position == null) {
                    continue;
                }
                Found there = ProtoScalars.field(cursor, List.of(entry), value);
                boolean isEmpty = there == null && value.getJavaType() == FieldDescriptor.JavaType.MESSAGE;
                Object read = values[position].value(cursor, isEmpty ? new Found() : there);
                if (read instanceof DeadEvent dead) {
                    if (lenient[position] && dead.isMisfit()) {
                        read = null;
                    } else {
                        first = first == null ? dead : first;
                    }
                }
                row.setField(position, read);
            }
            return first == null ? row : first;
        };
    }

    private static String keyOf(ByteCursor cursor, Part entry, FieldDescriptor key) throws DeadEvent {
        Found found = ProtoScalars.field(cursor, List.of(entry), key);
        if (found == null) {
            return "";
        }
        Part text = ProtoScalars.inside(cursor, found.parts).get(0);
        return new String(cursor.bytes(), text.start(), text.end() - text.start(), StandardCharsets.UTF_8);
    }

    /** A field that the column takes nothing of. */
    private static MessageField never(String path, LogicalType declared, String kind, boolean alwaysThere) {
        String expected = declared.is(LogicalTypeRoot.ROW) ? "object" : declared.is(LogicalTypeRoot.ARRAY) ? "array" : "a plain value";
        DeadEvent why = DeadEvent.wrongType(path, "expected " + expected + ", got " + kind);
        return (cursor, found) -> found == null && !alwaysThere ? null : why;
    }

    static String kind(FieldDescriptor field) {
        return switch (field.getJavaType()) {
            case INT, LONG -> "integer";
            case FLOAT -> "float";
            case DOUBLE -> "double";
            case BOOLEAN -> "boolean";
            case STRING, ENUM -> "string";
            case BYTE_STRING -> "bytes";
            case MESSAGE -> "object";
        };
    }

    /** Whether a field's value may be laid down so; else it is passed like a field that is not known. */
    static boolean isWire(FieldDescriptor field, int wire) {
        boolean isPacked = field.isRepeated() && field.isPackable() && wire == Wire.LENGTH;
        return isPacked || wire == wireOf(field);
    }

    /** Whether a field that occurs again replaces what came before; messages are merged, repeated fields go on. */
    static boolean onlyTheLastCounts(FieldDescriptor field) {
        return !field.isRepeated() && field.getJavaType() != FieldDescriptor.JavaType.MESSAGE;
    }

    static int wireOf(FieldDescriptor field) {
        return switch (field.getType()) {
            case DOUBLE, FIXED64, SFIXED64 -> Wire.FIXED64;
            case FLOAT, FIXED32, SFIXED32 -> Wire.FIXED32;
            case STRING, BYTES, MESSAGE -> Wire.LENGTH;
            case GROUP -> Wire.GROUP;
            default -> Wire.VARINT;
        };
    }
}
