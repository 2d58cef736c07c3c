package io.keystone.format;

/**
 * An event that can't be decoded. Its text names declared fields, types and positions, never what the payload holds: reasons
 * are seen by more people than payloads are.
 */
final class DeadEvent extends Exception {

    private static final long serialVersionUID = 1L;

    DeadEvent(String code, String text) {
        // no stack trace: a flood of broken events must not cost more than a flood of good ones
        super(code + ": " + text, null, false, false);
    }
}
