package io.keystone.format;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.nio.ByteBuffer;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import java.util.Random;
import org.junit.jupiter.api.Test;

class Utf8Test {

    private static boolean jdkAccepts(byte[] bytes) {
        try {
            StandardCharsets.UTF_8.newDecoder().decode(ByteBuffer.wrap(bytes));
            return true;
        } catch (CharacterCodingException malformed) {
            return false;
        }
    }

    @Test
    void agreesWithTheJdkOnEveryShortSequence() {
        byte[] bytes = new byte[3];
        for (int first = 0; first < 256; first++) {
            for (int second = 0; second < 256; second++) {
                for (int third : new int[] {0, 0x41, 0x7F, 0x80, 0x8F, 0x90, 0x9F, 0xA0, 0xBF, 0xC0, 0xFF}) {
                    bytes[0] = (byte) first;
                    bytes[1] = (byte) second;
                    bytes[2] = (byte) third;
                    assertEquals(jdkAccepts(bytes), Utf8.malformedAt(bytes) < 0, first + " " + second + " " + third);
                }
            }
        }
    }

    @Test
    void agreesWithTheJdkOnBrokenText() {
        byte[] text = "plain text, é, 漢字, 😀 and plain text again".getBytes(StandardCharsets.UTF_8);
        Random random = new Random(11);
        for (int round = 0; round < 50_000; round++) {
            byte[] broken = text.clone();
            broken[random.nextInt(broken.length)] = (byte) random.nextInt(256);
            assertEquals(jdkAccepts(broken), Utf8.malformedAt(broken) < 0);
        }
    }

    @Test
    void namesThePlace() {
        assertEquals(-1, Utf8.malformedAt("0123456789é".getBytes(StandardCharsets.UTF_8)));
        assertEquals(10, Utf8.malformedAt(new byte[] {48, 49, 50, 51, 52, 53, 54, 55, 56, 57, (byte) 0xC0, (byte) 0x80}));
    }
}
