package io.keystone.format;

import java.util.Arrays;

/** Turns a JSON string's escapes into the UTF-8 that they stand for. */
final class Escapes {

    private Escapes() {}

    /**
     * Returns the text between {@code start} and {@code end}, whose escapes are known to be well-formed, as UTF-8, or null if
     * one of them is half of a surrogate pair: {@code \\ud800} is JSON but no text, and '?' would be a silent change.
     */
    static byte[] unescaped(byte[] bytes, int start, int end) {
        // an escape is never shorter than what it stands for
        byte[] plain = new byte[end - start];
        int length = 0;
        for (int at = start; at < end; ) {
            if (bytes[at] != '\\') {
                plain[length++] = bytes[at++];
                continue;
            }
            if (bytes[at + 1] != 'u') {
                plain[length++] = control(bytes[at + 1]);
                at += 2;
                continue;
            }
            int character = unit(bytes, at);
            at += 6;
            if (Character.isSurrogate((char) character)) {
                boolean followed = at + 6 <= end && bytes[at] == '\\' && bytes[at + 1] == 'u';
                int low = followed ? unit(bytes, at) : 0;
                if (!Character.isHighSurrogate((char) character) || !Character.isLowSurrogate((char) low)) {
                    return null;
                }
                character = Character.toCodePoint((char) character, (char) low);
                at += 6;
            }
            length = append(character, plain, length);
        }
        return Arrays.copyOf(plain, length);
    }

    private static byte control(byte letter) {
        return switch (letter) {
            case 'b' -> '\b';
            case 'f' -> '\f';
            case 'n' -> '\n';
            case 'r' -> '\r';
            case 't' -> '\t';
            default -> letter;
        };
    }

    private static int unit(byte[] bytes, int at) {
        int value = 0;
        for (int digit = at + 2; digit < at + 6; digit++) {
            value = value << 4 | Character.digit(bytes[digit], 16);
        }
        return value;
    }

    private static int append(int character, byte[] plain, int at) {
        int length = at;
        if (character < 0x80) {
            plain[length++] = (byte) character;
        } else if (character < 0x800) {
            plain[length++] = (byte) (0xC0 | character >> 6);
            plain[length++] = (byte) (0x80 | character & 0x3F);
        } else if (character < 0x10000) {
            plain[length++] = (byte) (0xE0 | character >> 12);
            plain[length++] = (byte) (0x80 | character >> 6 & 0x3F);
            plain[length++] = (byte) (0x80 | character & 0x3F);
        } else {
            plain[length++] = (byte) (0xF0 | character >> 18);
            plain[length++] = (byte) (0x80 | character >> 12 & 0x3F);
            plain[length++] = (byte) (0x80 | character >> 6 & 0x3F);
            plain[length++] = (byte) (0x80 | character & 0x3F);
        }
        return length;
    }
}
