package io.keystone.format;

/** Strict UTF-8 (RFC 3629): Jackson lets overlong forms and encoded surrogates pass, and does not look at skipped text. */
public final class Utf8 {

    private Utf8() {}

    /** Returns the index of the first byte that begins no well-formed character, or -1. */
    static int malformedAt(byte[] bytes) {
        return malformedAt(bytes, 0, bytes.length);
    }

    /** The same of a part; a character that does not end in it is malformed. */
    public static int malformedAt(byte[] bytes, int start, int end) {
        int at = start;
        while (at < end) {
            if (at + Long.BYTES <= end && Words.high(Words.at(bytes, at)) == Words.NOTHING) {
                at += Long.BYTES;
                continue;
            }
            int length = characterLength(bytes, at);
            if (length == 0 || at + length > end) {
                return at;
            }
            at += length;
        }
        return -1;
    }

    /** RFC 3629, section 4: the second byte's range excludes overlong forms, surrogates and what is above U+10FFFF. */
    private static int characterLength(byte[] bytes, int at) {
        int first = bytes[at] & 0xFF;
        if (first < 0x80) {
            return 1;
        }
        if (first >= 0xC2 && first <= 0xDF) {
            return isBetween(bytes, at + 1, 0x80, 0xBF) ? 2 : 0;
        }
        if (first >= 0xE0 && first <= 0xEF) {
            int low = first == 0xE0 ? 0xA0 : 0x80;
            int high = first == 0xED ? 0x9F : 0xBF;
            return isBetween(bytes, at + 1, low, high) && isBetween(bytes, at + 2, 0x80, 0xBF) ? 3 : 0;
        }
        if (first >= 0xF0 && first <= 0xF4) {
            int low = first == 0xF0 ? 0x90 : 0x80;
            int high = first == 0xF4 ? 0x8F : 0xBF;
            boolean rest = isBetween(bytes, at + 2, 0x80, 0xBF) && isBetween(bytes, at + 3, 0x80, 0xBF);
            return isBetween(bytes, at + 1, low, high) && rest ? 4 : 0;
        }
        return 0;
    }

    private static boolean isBetween(byte[] bytes, int at, int low, int high) {
        return at < bytes.length && (bytes[at] & 0xFF) >= low && (bytes[at] & 0xFF) <= high;
    }
}
