package io.keystone.format;

/** What a JSON value is; an integer is a number without fraction and exponent. */
enum JsonKind {
    OBJECT("object"),
    ARRAY("array"),
    STRING("string"),
    INTEGER("integer"),
    FRACTION("number with a fraction or exponent"),
    BOOLEAN("boolean"),
    NULL("null");

    private final String text;

    JsonKind(String text) {
        this.text = text;
    }

    /** How reasons name it. */
    String text() {
        return text;
    }

    String withArticle() {
        return switch (this) {
            case OBJECT, ARRAY, INTEGER -> "an " + text;
            case NULL -> text;
            default -> "a " + text;
        };
    }
}
