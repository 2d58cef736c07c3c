package io.keystone.registry;

/** The registry answered, and no event that names this schema can be decoded. */
final class UnusableSchema extends Exception {

    private static final long serialVersionUID = 1L;

    /** The registry has no such schema. */
    static final String UNKNOWN = "unknown_schema";

    /** It has one that is of no use here. */
    static final String UNUSABLE = "unusable_schema";

    /** @param code one of the two. */
    UnusableSchema(String code, String text) {
        super(code + ": " + text, null, false, false);
    }
}
