package io.keystone.format;

import java.io.IOException;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.core.JsonParser;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.core.JsonToken;
import org.apache.flink.table.types.logical.LogicalType;
import org.apache.flink.table.types.logical.RowType;

/** Turns the JSON value under the parser into Flink's internal value. Never called for null. */
interface FieldDecoder {

    Object decode(JsonParser parser, JsonToken token) throws IOException, DeadEvent;

    /**
     * Returns the decoder of a declared type.
     *
     * @param path the field, dotted, as reasons name it.
     */
    static FieldDecoder of(LogicalType type, String path) {
        return switch (type.getTypeRoot()) {
            case VARCHAR -> new TextDecoders.Text(path);
            case DATE -> new TextDecoders.Date(path);
            case TIMESTAMP_WITH_LOCAL_TIME_ZONE -> new TextDecoders.Timestamp(path);
            case BOOLEAN -> (parser, token) -> switch (token) {
                case VALUE_TRUE -> Boolean.TRUE;
                case VALUE_FALSE -> Boolean.FALSE;
                default -> throw TypeNames.wrongType(path, "boolean", token);
            };
            case INTEGER -> new NumberDecoders.Int(path);
            case BIGINT -> new NumberDecoders.Bigint(path);
            case FLOAT -> new NumberDecoders.SinglePrecision(path);
            case DOUBLE -> new NumberDecoders.DoublePrecision(path);
            case ROW -> new ObjectDecoder((RowType) type, path);
            default -> throw new IllegalArgumentException(
                    path + ": keystone-json has no " + type.asSummaryString()
                            + "; declare string, boolean, int, bigint, float, double, date, timestamp_ltz(6) or row");
        };
    }
}
