package io.keystone.format;

import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.core.JsonToken;

/** How reasons name what was found. */
final class TypeNames {

    private TypeNames() {}

    static DeadEvent wrongType(String path, String expected, JsonToken found) {
        return new DeadEvent("wrong_type", path + ": expected " + expected + ", got " + name(found));
    }

    static DeadEvent outOfRange(String path, String type) {
        return new DeadEvent("out_of_range", path + ": does not fit " + type);
    }

    static String article(JsonToken token) {
        return switch (name(token)) {
            case "object", "array", "integer" -> "an " + name(token);
            case "null" -> "null";
            default -> "a " + name(token);
        };
    }

    private static String name(JsonToken token) {
        return switch (token) {
            case START_OBJECT -> "object";
            case START_ARRAY -> "array";
            case VALUE_STRING -> "string";
            case VALUE_NUMBER_INT -> "integer";
            case VALUE_NUMBER_FLOAT -> "number with a fraction or exponent";
            case VALUE_TRUE, VALUE_FALSE -> "boolean";
            default -> "null";
        };
    }
}
