package io.keystone.format;

/**
 * The grammar of JSON (RFC 8259) over a payload's bytes. Each method takes the index of a value's or token's first byte and
 * returns the index behind its last; whatever is passed has been checked. Nothing is built.
 */
final class JsonScanner {

    /** Objects and arrays within each other, the event itself included. */
    static final int MAX_DEPTH = 64;

    private static final int UNICODE_ESCAPE = 6;

    private byte[] bytes;

    /** All words and bytes of strings, or-ed. */
    private long seen;

    private boolean escaped;
    private boolean fraction;

    void reset(byte[] payload) {
        bytes = payload;
        seen = 0;
    }

    /** Whether all strings so far are ASCII for sure; elsewhere JSON has nothing else. */
    boolean sawOnlyAscii() {
        return Words.high(seen) == Words.NOTHING;
    }

    /** Whether the last string holds a backslash. */
    boolean escaped() {
        return escaped;
    }

    /** Whether the last number has a fraction or an exponent. */
    boolean fraction() {
        return fraction;
    }

    /** Returns the index of the next byte that is no white space; the payload's length at its end. */
    int space(int from) {
        int at = from;
        while (at < bytes.length && bytes[at] <= ' ' && bytes[at] >= 0) {
            byte here = bytes[at];
            if (here != ' ' && here != '\n' && here != '\r' && here != '\t') {
                break;
            }
            at++;
        }
        return at;
    }

    /** Like {@link #space}, and something must follow. */
    int token(int from) throws DeadEvent {
        int at = from < bytes.length && bytes[from] > ' ' ? from : space(from);
        if (at == bytes.length) {
            throw DeadEvent.endsEarly();
        }
        return at;
    }

    /** Passes that byte, after white space. */
    int pass(int from, char wanted) throws DeadEvent {
        int at = token(from);
        if (bytes[at] != wanted) {
            throw DeadEvent.notJson(at);
        }
        return at + 1;
    }

    /** @param depth of what the value is in: 1 in the event itself. */
    int value(int at, int depth) throws DeadEvent {
        return switch (bytes[at]) {
            case '{' -> object(at, deeper(depth));
            case '[' -> array(at, deeper(depth));
            case '"' -> string(at);
            case 't' -> literal(at, "true");
            case 'f' -> literal(at, "false");
            case 'n' -> literal(at, "null");
            default -> number(at);
        };
    }

    static int deeper(int depth) throws DeadEvent {
        if (depth == MAX_DEPTH) {
            throw new DeadEvent("too_deep", "more than " + MAX_DEPTH + " levels");
        }
        return depth + 1;
    }

    private int object(int from, int depth) throws DeadEvent {
        int at = token(from + 1);
        if (bytes[at] == '}') {
            return at + 1;
        }
        while (true) {
            at = pass(string(at), ':');
            at = token(value(token(at), depth));
            if (bytes[at] != ',') {
                return pass(at, '}');
            }
            at = token(at + 1);
        }
    }

    private int array(int from, int depth) throws DeadEvent {
        int at = token(from + 1);
        if (bytes[at] == ']') {
            return at + 1;
        }
        while (true) {
            at = token(value(at, depth));
            if (bytes[at] != ',') {
                return pass(at, ']');
            }
            at = token(at + 1);
        }
    }

    int string(int from) throws DeadEvent {
        if (bytes[from] != '"') {
            throw DeadEvent.notJson(from);
        }
        escaped = false;
        int at = from + 1;
        while (true) {
            at = special(at);
            if (at == bytes.length) {
                throw DeadEvent.endsEarly();
            }
            if (bytes[at] == '"') {
                return at + 1;
            }
            if (bytes[at] != '\\') {
                throw DeadEvent.notJson(at);
            }
            escaped = true;
            at = escape(at);
        }
    }

    /** Returns the index of the next quote, backslash or control character, or the payload's length. */
    private int special(int from) {
        int at = from;
        long passed = 0;
        for (; at <= bytes.length - Long.BYTES; at += Long.BYTES) {
            long word = Words.at(bytes, at);
            passed |= word;
            long found = Words.special(word);
            if (found != Words.NOTHING) {
                seen |= passed;
                return at + Words.first(found);
            }
        }
        for (; at < bytes.length; at++) {
            byte here = bytes[at];
            passed |= here;
            if (here == '"' || here == '\\' || here >= 0 && here < ' ') {
                break;
            }
        }
        seen |= passed;
        return at;
    }

    private int escape(int at) throws DeadEvent {
        return switch (here(at + 1)) {
            case '"', '\\', '/', 'b', 'f', 'n', 'r', 't' -> at + 2;
            case 'u' -> {
                for (int digit = at + 2; digit < at + UNICODE_ESCAPE; digit++) {
                    if (Character.digit(here(digit), 16) < 0) {
                        throw DeadEvent.notJson(digit);
                    }
                }
                yield at + UNICODE_ESCAPE;
            }
            default -> throw DeadEvent.notJson(at + 1);
        };
    }

    int number(int from) throws DeadEvent {
        fraction = false;
        int at = bytes[from] == '-' ? from + 1 : from;
        at = here(at) == '0' ? at + 1 : digits(at);
        if (at < bytes.length && bytes[at] == '.') {
            fraction = true;
            at = digits(at + 1);
        }
        if (at < bytes.length && (bytes[at] == 'e' || bytes[at] == 'E')) {
            fraction = true;
            boolean signed = here(at + 1) == '+' || here(at + 1) == '-';
            at = digits(signed ? at + 2 : at + 1);
        }
        return at;
    }

    private int digits(int from) throws DeadEvent {
        if (here(from) < '0' || here(from) > '9') {
            throw DeadEvent.notJson(from);
        }
        int at = from + 1;
        for (; at <= bytes.length - Long.BYTES; at += Long.BYTES) {
            long others = Words.nonDigits(Words.at(bytes, at));
            if (others != Words.NOTHING) {
                return at + Words.first(others);
            }
        }
        while (at < bytes.length && bytes[at] >= '0' && bytes[at] <= '9') {
            at++;
        }
        return at;
    }

    int literal(int from, String text) throws DeadEvent {
        for (int index = 0; index < text.length(); index++) {
            if (here(from + index) != text.charAt(index)) {
                throw DeadEvent.notJson(from + index);
            }
        }
        return from + text.length();
    }

    private int here(int at) throws DeadEvent {
        if (at >= bytes.length) {
            throw DeadEvent.endsEarly();
        }
        return bytes[at];
    }
}
