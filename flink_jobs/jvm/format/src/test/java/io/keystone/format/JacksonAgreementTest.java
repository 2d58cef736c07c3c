package io.keystone.format;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.util.Random;
import java.util.Set;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.core.JsonFactory;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.core.JsonParser;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.core.JsonToken;
import org.apache.flink.table.api.DataTypes;
import org.apache.flink.table.data.GenericRowData;
import org.apache.flink.table.types.logical.RowType;
import org.junit.jupiter.api.Test;

/** Our own walk over JSON against Jackson's: the same texts are JSON, and the same fields have the same values. */
class JacksonAgreementTest {

    private static final RowType COLUMNS = (RowType) DataTypes.ROW(
                    DataTypes.FIELD("s", DataTypes.STRING()),
                    DataTypes.FIELD("l", DataTypes.BIGINT()),
                    DataTypes.FIELD("d", DataTypes.DOUBLE()),
                    DataTypes.FIELD("f", DataTypes.FLOAT()))
            .getLogicalType();

    private static final JsonFactory JACKSON =
            JsonFactory.builder().disable(JsonFactory.Feature.CHARSET_DETECTION).build();

    private static final String ALPHABET = "{}[]\":,\\ \n\tsldfu0123456789.eE+-truefalsn\u0001é😀";

    private final EventDecoder decoder =
            new EventDecoder(COLUMNS, new Leniency(Set.of("*")));
    private final Random random = new Random(11);

    @Test
    void theSameTextsAreJson() throws IOException {
        int good = 0;
        for (int round = 0; round < 60_000; round++) {
            String text = mutated(object(0), round % 4);
            byte[] bytes = text.getBytes(StandardCharsets.UTF_8);
            String reason = decoder.decode(bytes, new GenericRowData(COLUMNS.getFieldCount()));
            if (reason != null && (reason.startsWith("duplicate_field") || reason.startsWith("not_utf8: s"))) {
                continue; // said before the text's end was seen
            }
            boolean isJson = isOneObject(bytes);
            assertEquals(isJson, reason == null, text + " -> " + reason);
            good += isJson ? 1 : 0;
        }
        assertTrue(good > 20_000, "" + good);
    }

    @Test
    void numbersHaveTheSameValues() throws IOException {
        for (int round = 0; round < 60_000; round++) {
            String number = number();
            GenericRowData row = new GenericRowData(COLUMNS.getFieldCount());
            String event = "{\"d\":" + number + ",\"f\":" + number + ",\"l\":" + number + "}";
            assertEquals(null, decoder.decode(event.getBytes(StandardCharsets.UTF_8), row));
            double expected = Double.parseDouble(number);
            assertEquals(Double.isFinite(expected) ? expected : null, row.getField(2), number);
            float single = Float.parseFloat(number);
            assertEquals(Float.isFinite(single) ? single : null, row.getField(3), number);
            assertEquals(whole(number), row.getField(1), number);
        }
    }

    @Test
    void textsHaveTheSameValues() throws IOException {
        for (int round = 0; round < 30_000; round++) {
            String event = "{\"" + (round % 2 == 0 ? "s" : "\\u0073") + "\":" + string() + "}";
            byte[] bytes = event.getBytes(StandardCharsets.UTF_8);
            GenericRowData row = new GenericRowData(COLUMNS.getFieldCount());
            String reason = decoder.decode(bytes, row);
            try (JsonParser parser = JACKSON.createParser(bytes)) {
                parser.nextToken();
                parser.nextToken();
                parser.nextToken();
                String expected = parser.getText();
                boolean isText = StandardCharsets.UTF_8.newEncoder().canEncode(expected);
                assertEquals(isText ? null : "not_utf8: s: half of a surrogate pair", reason, event);
                if (isText) {
                    assertEquals(expected, row.getString(0).toString());
                }
            }
        }
    }

    private static Long whole(String number) {
        try {
            return Long.valueOf(number);
        } catch (NumberFormatException fractionOrHuge) {
            return null;
        }
    }

    private static boolean isOneObject(byte[] bytes) {
        try (JsonParser parser = JACKSON.createParser(bytes)) {
            if (parser.nextToken() != JsonToken.START_OBJECT) {
                return false;
            }
            parser.skipChildren();
            return parser.currentToken() == JsonToken.END_OBJECT && parser.nextToken() == null;
        } catch (IOException broken) {
            return false;
        }
    }

    private String mutated(String text, int changes) {
        StringBuilder changed = new StringBuilder(text);
        for (int change = 0; change < changes - 1; change++) {
            int at = random.nextInt(changed.length());
            String letter = new String(Character.toChars(
                    ALPHABET.codePointAt(ALPHABET.offsetByCodePoints(0, random.nextInt(ALPHABET.codePointCount(0, ALPHABET.length()))))));
            if (Character.isSurrogate(changed.charAt(at))) {
                continue;
            }
            switch (random.nextInt(3)) {
                case 0 -> changed.replace(at, at + 1, letter);
                case 1 -> changed.insert(at, letter);
                default -> changed.deleteCharAt(at);
            }
            if (changed.length() == 0) {
                return "{";
            }
        }
        return changed.toString();
    }

    private String object(int depth) {
        StringBuilder text = new StringBuilder("{");
        int fields = random.nextInt(5);
        for (int field = 0; field < fields; field++) {
            String name = "sldfxyz".substring(random.nextInt(7)).substring(0, 1);
            text.append(field == 0 ? "" : ",").append(space()).append('"').append(name).append('"').append(space()).append(':');
            text.append(space()).append(value(depth)).append(space());
        }
        return text.append('}').append(space()).toString();
    }

    private String value(int depth) {
        return switch (random.nextInt(depth > 3 ? 4 : 6)) {
            case 0 -> string();
            case 1, 2 -> number();
            case 3 -> new String[] {"true", "false", "null"}[random.nextInt(3)];
            case 4 -> object(depth + 1);
            default -> "[" + space() + (random.nextBoolean() ? value(depth + 1) + space() + "," + value(depth + 1) : "") + "]";
        };
    }

    private String space() {
        return new String[] {"", "", "", " ", "\n", "\t\r "}[random.nextInt(6)];
    }

    private String string() {
        StringBuilder text = new StringBuilder("\"");
        int parts = random.nextInt(12);
        for (int part = 0; part < parts; part++) {
            text.append(switch (random.nextInt(8)) {
                case 0 -> "\\" + "\"\\/bfnrt".charAt(random.nextInt(8));
                case 1 -> String.format("\\u%04x", random.nextInt(0x10000));
                case 2 -> "\\ud83d\\ude00";
                case 3 -> "é";
                case 4 -> "😀";
                default -> "abcdefghij".substring(random.nextInt(10));
            });
        }
        return text.append('"').toString();
    }

    private String number() {
        return switch (random.nextInt(8)) {
            case 0 -> Integer.toString(random.nextInt());
            case 1 -> Long.toString(random.nextLong());
            case 2 -> Double.toString(random.nextDouble() * 1000);
            case 3 -> Double.toString(Double.longBitsToDouble(random.nextLong() & 0x7fe_fffff_ffff_ffffL));
            case 4 -> random.nextInt(1000) + "." + Math.abs(random.nextLong());
            case 5 -> random.nextInt(100) + "e" + (random.nextBoolean() ? "+" : "-") + random.nextInt(400);
            case 6 -> "-0." + random.nextInt(1_000_000);
            default -> random.nextBoolean() ? "0" : "-0";
        };
    }
}
