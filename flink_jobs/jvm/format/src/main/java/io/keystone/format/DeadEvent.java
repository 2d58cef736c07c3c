package io.keystone.format;

/**
 * An event that can't be decoded. Its text names declared fields, types and positions, never what the payload holds: reasons
 * are seen by more people than payloads are.
 */
public final class DeadEvent extends Exception {

    private static final long serialVersionUID = 1L;

    private final boolean misfit;

    private DeadEvent(String message, boolean misfit) {
        // no stack trace: a flood of broken events must not cost more than a flood of good ones
        super(message, null, false, false);
        this.misfit = misfit;
    }

    public DeadEvent(String code, String text) {
        this(code + ": " + text, false);
    }

    static DeadEvent notJson(int at) {
        return new DeadEvent("not_json", "at byte " + at);
    }

    static DeadEvent endsEarly() {
        return new DeadEvent("not_json", "ends early");
    }

    public static DeadEvent wrongType(String path, String text) {
        return new DeadEvent("wrong_type: " + path + ": " + text, true);
    }

    static DeadEvent wrongType(String path, String expected, JsonKind found) {
        return wrongType(path, "expected " + expected + ", got " + found.text());
    }

    public static DeadEvent outOfRange(String path, String type) {
        return new DeadEvent("out_of_range: " + path + ": does not fit " + type, true);
    }

    /** Whether the event can be read and only a declared field's value does not fit its type. */
    public boolean isMisfit() {
        return misfit;
    }

    /** Returns the same with an element's index where its path has an array's {@code []}. */
    public DeadEvent inElement(String array, int index) {
        return new DeadEvent(getMessage().replace(array + "[]", array + "[" + index + "]"), misfit);
    }
}
