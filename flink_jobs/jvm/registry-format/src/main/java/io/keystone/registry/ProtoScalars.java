package io.keystone.registry;

import com.google.protobuf.Descriptors.EnumValueDescriptor;
import com.google.protobuf.Descriptors.FieldDescriptor;
import com.google.protobuf.Timestamp;
import io.keystone.format.DeadEvent;
import io.keystone.registry.MessageReader.Found;
import io.keystone.registry.MessageReader.Wire;
import io.keystone.registry.ProtoCompiler.Part;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;

/** Reads plain values of messages. */
final class ProtoScalars {

    private static final int SECONDS = 1;
    private static final int NANOS = 2;

    private ProtoScalars() {}

    /** Reads the value that the cursor stands on. */
    interface Reader {
        Object read(ByteCursor cursor) throws DeadEvent;
    }

    static Reader reader(FieldDescriptor field, Column column) {
        return switch (field.getType()) {
            case DOUBLE -> cursor -> column.real(Double.longBitsToDouble(cursor.fixed64()));
            case FLOAT -> cursor -> column.single(Float.intBitsToFloat(cursor.fixed32()));
            case INT64 -> cursor -> column.whole(cursor.varint());
            case UINT64 -> cursor -> column.unsigned(cursor.varint());
            case INT32 -> cursor -> column.whole((int) cursor.varint());
            case FIXED64 -> cursor -> column.unsigned(cursor.fixed64());
            case FIXED32 -> cursor -> column.whole(Integer.toUnsignedLong(cursor.fixed32()));
            case BOOL -> cursor -> column.bool(cursor.varint() != 0);
            case UINT32 -> cursor -> column.whole(Integer.toUnsignedLong((int) cursor.varint()));
            case SFIXED32 -> cursor -> column.whole(cursor.fixed32());
            case SFIXED64 -> cursor -> column.whole(cursor.fixed64());
            case SINT32 -> cursor -> column.whole(zigzag32((int) cursor.varint()));
            case SINT64 -> cursor -> column.whole(cursor.zigzag());
            case ENUM -> cursor -> name(field, (int) cursor.varint(), column);
            case STRING -> cursor -> {
                int length = cursor.length(cursor.varint());
                return column.text(cursor.bytes(), cursor.pass(length), length);
            };
            case BYTES -> cursor -> {
                cursor.pass(cursor.length(cursor.varint()));
                return column.misfit("bytes");
            };
            case MESSAGE, GROUP -> throw new IllegalArgumentException(field.getFullName());
        };
    }

    private static int zigzag32(int value) {
        return value >>> 1 ^ -(value & 1);
    }

    /** A number that the enum does not know has no name to be read as. */
    private static Object name(FieldDescriptor field, int number, Column column) {
        EnumValueDescriptor value = field.getEnumType().findValueByNumber(number);
        return value == null ? column.outOfRange() : text(value.getName(), column);
    }

    private static Object text(String value, Column column) {
        byte[] bytes = value.getBytes(StandardCharsets.UTF_8);
        return column.text(bytes, 0, bytes.length);
    }

    /** Returns what a field without presence is where it is not there. */
    static Object byDefault(FieldDescriptor field, Column column) {
        return switch (field.getJavaType()) {
            case INT, LONG -> column.whole(0);
            case FLOAT -> column.single(0);
            case DOUBLE -> column.real(0);
            case BOOLEAN -> column.bool(false);
            case STRING -> text("", column);
            case BYTE_STRING -> column.misfit("bytes");
            case ENUM -> text(field.getEnumType().getValues().get(0).getName(), column);
            case MESSAGE -> null;
        };
    }

    static Object last(ByteCursor cursor, Found found, Reader reader) throws DeadEvent {
        Part part = found.parts.get(found.parts.size() - 1);
        cursor.window(part.start(), part.end());
        return reader.read(cursor);
    }

    /** Reads a repeated field, packed or not, into elements. Returns the first that does not fit, or null. */
    static DeadEvent all(
            ByteCursor cursor, Found found, FieldDescriptor field, Reader reader, String path, List<Object> elements)
            throws DeadEvent {
        DeadEvent first = null;
        for (int index = 0; index < found.parts.size(); index++) {
            Part part = found.parts.get(index);
            cursor.window(part.start(), part.end());
            if (found.wires.get(index) == Wire.LENGTH && field.isPackable()) {
                cursor.length(cursor.varint());
            }
            while (!cursor.atEnd()) {
                Object value = reader.read(cursor);
                if (value instanceof DeadEvent dead) {
                    first = first == null ? dead.inElement(path, elements.size()) : first;
                }
                elements.add(value);
            }
        }
        return first;
    }

    /** Returns the parts without the length before each. */
    static List<Part> inside(ByteCursor cursor, List<Part> parts) throws DeadEvent {
        List<Part> inside = new ArrayList<>(parts.size());
        for (Part part : parts) {
            cursor.window(part.start(), part.end());
            cursor.varint();
            inside.add(new Part(cursor.position(), part.end()));
        }
        return inside;
    }

    /** Returns what is found of one field in a message, null where it is not there. */
    static Found field(ByteCursor cursor, List<Part> parts, FieldDescriptor field) throws DeadEvent {
        return MessageReader.only(field, cursor, parts);
    }

    static Object time(ByteCursor cursor, List<Part> parts, Column column) throws DeadEvent {
        long seconds = number(cursor, parts, SECONDS);
        return column.time(seconds, (int) number(cursor, parts, NANOS));
    }

    private static long number(ByteCursor cursor, List<Part> parts, int number) throws DeadEvent {
        FieldDescriptor field = Timestamp.getDescriptor().findFieldByNumber(number);
        Found found = field(cursor, parts, field);
        if (found == null) {
            return 0;
        }
        Part part = found.parts.get(found.parts.size() - 1);
        cursor.window(part.start(), part.end());
        return number == NANOS ? (int) cursor.varint() : cursor.varint();
    }
}
