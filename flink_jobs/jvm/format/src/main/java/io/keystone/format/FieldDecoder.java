package io.keystone.format;

import org.apache.flink.table.types.logical.ArrayType;
import org.apache.flink.table.types.logical.LogicalType;
import org.apache.flink.table.types.logical.RowType;

/** Turns the JSON value under the cursor, which is not null, into Flink's internal value. */
interface FieldDecoder {

    Object decode(JsonCursor cursor) throws DeadEvent;

    /**
     * Returns the decoder of a declared type.
     *
     * @param path the field, dotted, as reasons name it.
     */
    static FieldDecoder of(LogicalType type, String path, Leniency leniency) {
        return switch (type.getTypeRoot()) {
            case VARCHAR -> new TextDecoders.Text(path);
            case DATE -> new TextDecoders.Date(path);
            case TIMESTAMP_WITH_LOCAL_TIME_ZONE -> new TextDecoders.Timestamp(path);
            case BOOLEAN -> new BooleanDecoder(path);
            case INTEGER -> new NumberDecoders.Int(path);
            case BIGINT -> new NumberDecoders.Bigint(path);
            case FLOAT -> new NumberDecoders.SinglePrecision(path);
            case DOUBLE -> new NumberDecoders.DoublePrecision(path);
            case ROW -> new ObjectDecoder((RowType) type, path, leniency);
            case ARRAY -> new ArrayDecoder(((ArrayType) type).getElementType(), path, leniency);
            default -> throw new IllegalArgumentException(
                    path + ": keystone-json has no " + type.asSummaryString()
                            + "; declare string, boolean, int, bigint, float, double, date, timestamp_ltz(6), array or row");
        };
    }

    /** true and false. */
    record BooleanDecoder(String path) implements FieldDecoder {
        @Override
        public Object decode(JsonCursor cursor) throws DeadEvent {
            if (cursor.kind() != JsonKind.BOOLEAN) {
                throw misfit(cursor, path, "boolean");
            }
            return cursor.bool();
        }
    }

    /** Returns what to throw for a value of another kind than expected; what is under the cursor is checked first. */
    static DeadEvent misfit(JsonCursor cursor, String path, String expected) throws DeadEvent {
        JsonKind kind = cursor.kind();
        boolean nested = kind == JsonKind.OBJECT || kind == JsonKind.ARRAY;
        return DeadEvent.wrongType(path, expected, nested ? kind : cursor.skipScalar());
    }
}
