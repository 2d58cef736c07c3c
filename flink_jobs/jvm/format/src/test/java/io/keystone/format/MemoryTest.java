package io.keystone.format;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.ByteBuffer;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Random;
import org.apache.flink.table.data.GenericRowData;
import org.junit.jupiter.api.Test;

/** A decoder remembers names to be fast. What it saw before must change nothing about an event. */
class MemoryTest {

    private static final List<String> FIELDS = List.of(
            "\"s\":\"a\"",
            "\"s\" : \"é\"",
            "\"\\u0073\":\"escaped\"",
            "\"l\":5",
            "\"l\":\"misfit\"",
            "\"i\":null",
            "\"o\":{\"x\":\"b\",\"other\":[{}],\"p\":{\"y\":1}}",
            "\"o\":{\"p\":{\"z\":1,\"y\":2},\"x\":\"c\"}",
            "\"undeclared\":{\"s\":1,\"s\":2}",
            "\"undeclared\\\"quote\":1",
            "\"undéclared\":\"漢\"",
            "\"" + "long".repeat(100) + "\":true",
            "\"\":0");

    private final EventDecoder reused = new EventDecoder(EventDecoderTest.COLUMNS, EventDecoderTest.STRICT);
    private final Random random = new Random(23);

    @Test
    void eventsDecodeAsOnTheirOwn() {
        int good = 0;
        for (int round = 0; round < 40_000; round++) {
            String reason = assertDecodesAsAlone(event().getBytes(StandardCharsets.UTF_8));
            good += reason == null ? 1 : 0;
        }
        assertTrue(good > 5_000, "" + good);
    }

    @Test
    void brokenBytesAreFoundWhereverTheyAre() {
        int malformed = 0;
        for (int round = 0; round < 40_000; round++) {
            byte[] event = event().getBytes(StandardCharsets.UTF_8);
            for (int change = 0; change < round % 3; change++) {
                event[random.nextInt(event.length)] = (byte) random.nextInt(256);
            }
            assertDecodesAsAlone(event);
            String reason = assertDecodesAsAlone(event);
            if (!isUtf8(event)) {
                malformed++;
                assertTrue(reason != null && reason.startsWith("not_utf8"), reason);
            }
        }
        assertTrue(malformed > 5_000, "" + malformed);
    }

    private String assertDecodesAsAlone(byte[] event) {
        GenericRowData expected = new GenericRowData(EventDecoderTest.COLUMNS.getFieldCount());
        GenericRowData row = new GenericRowData(EventDecoderTest.COLUMNS.getFieldCount());
        String alone =
                new EventDecoder(EventDecoderTest.COLUMNS, EventDecoderTest.STRICT).decode(event, expected);
        String reason = reused.decode(event, row);
        assertEquals(alone, reason);
        if (reason == null) {
            assertEquals(expected, row, () -> new String(event, StandardCharsets.UTF_8));
        }
        return reason;
    }

    /** Some of the fields in any order, and one whose name nobody has seen. */
    private String event() {
        List<String> fields = new ArrayList<>(FIELDS);
        Collections.shuffle(fields, random);
        List<String> chosen = new ArrayList<>(fields.subList(0, random.nextInt(5)));
        chosen.add("\"new" + random.nextInt(1 << 20) + "\":0");
        return "{" + String.join(",", chosen) + "}";
    }

    private static boolean isUtf8(byte[] bytes) {
        try {
            StandardCharsets.UTF_8.newDecoder().decode(ByteBuffer.wrap(bytes));
            return true;
        } catch (CharacterCodingException malformed) {
            return false;
        }
    }
}
