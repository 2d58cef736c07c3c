package io.keystone.format;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.charset.StandardCharsets;
import java.time.Instant;
import java.time.LocalDate;
import java.util.Random;
import java.util.Set;
import org.apache.flink.table.api.DataTypes;
import org.apache.flink.table.data.ArrayData;
import org.apache.flink.table.data.GenericRowData;
import org.apache.flink.table.data.RowData;
import org.apache.flink.table.data.StringData;
import org.apache.flink.table.data.TimestampData;
import org.apache.flink.table.types.logical.RowType;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class EventDecoderTest {

    static final RowType COLUMNS = (RowType) DataTypes.ROW(
                    DataTypes.FIELD("s", DataTypes.STRING()),
                    DataTypes.FIELD("b", DataTypes.BOOLEAN()),
                    DataTypes.FIELD("i", DataTypes.INT()),
                    DataTypes.FIELD("l", DataTypes.BIGINT()),
                    DataTypes.FIELD("f", DataTypes.FLOAT()),
                    DataTypes.FIELD("d", DataTypes.DOUBLE()),
                    DataTypes.FIELD("day", DataTypes.DATE()),
                    DataTypes.FIELD("at", DataTypes.TIMESTAMP_LTZ(6)),
                    DataTypes.FIELD("o", DataTypes.ROW(
                            DataTypes.FIELD("x", DataTypes.STRING()),
                            DataTypes.FIELD("p", DataTypes.ROW(DataTypes.FIELD("y", DataTypes.BIGINT()))))),
                    DataTypes.FIELD("tags", DataTypes.ARRAY(DataTypes.STRING())),
                    DataTypes.FIELD("codes", DataTypes.ARRAY(DataTypes.INT())))
            .getLogicalType();

    static final Leniency STRICT = new Leniency(Set.of());

    private final EventDecoder decoder = new EventDecoder(COLUMNS, STRICT);
    private final GenericRowData row = new GenericRowData(COLUMNS.getFieldCount());

    private String decode(String event) {
        return decoder.decode(event.getBytes(StandardCharsets.UTF_8), row);
    }

    @Test
    void everyTypeDecodes() {
        assertNull(decode("{\"s\":\"h\\u00e9 \\ud83d\\ude00\",\"b\":true,\"i\":-7,\"l\":9223372036854775807,\"f\":1.5,\"d\":2,"
                + "\"day\":\"2026-03-01\",\"at\":\"2026-03-01T12:00:00.1234567+02:00\",\"o\":{\"x\":\"in\",\"p\":{\"y\":3}}}"));
        RowData inner = row.getRow(8, 2);
        assertEquals(StringData.fromString("hé 😀"), row.getString(0));
        assertTrue(row.getBoolean(1));
        assertEquals(-7, row.getInt(2));
        assertEquals(Long.MAX_VALUE, row.getLong(3));
        assertEquals(1.5f, row.getFloat(4));
        assertEquals(2.0, row.getDouble(5));
        assertEquals(LocalDate.of(2026, 3, 1).toEpochDay(), row.getInt(6));
        assertEquals(TimestampData.fromInstant(Instant.parse("2026-03-01T10:00:00.123456Z")), row.getTimestamp(7, 6));
        assertEquals(StringData.fromString("in"), inner.getString(0));
        assertEquals(3, inner.getRow(1, 1).getLong(0));
    }

    @Test
    void arraysDecodeWithNullsInside() {
        assertNull(decode("{\"tags\":[\"a\", null ,\"\\n\"],\"codes\":[ ]}"));
        ArrayData tags = row.getArray(9);
        assertEquals(3, tags.size());
        assertEquals(StringData.fromString("a"), tags.getString(0));
        assertTrue(tags.isNullAt(1));
        assertEquals(StringData.fromString("\n"), tags.getString(2));
        assertEquals(0, row.getArray(10).size());
    }

    @Test
    void aValueThatDoesNotFitIsNullWhereTheStreamSaysSo() {
        EventDecoder some = new EventDecoder(COLUMNS, new Leniency(Set.of("l", "o.p.y", "codes")));
        String event = "{\"l\":{\"deep\":[1,{\"x\":2}]},\"s\":\"kept\",\"codes\":[1,\"x\"],\"o\":{\"x\":\"in\",\"p\":{\"y\":1.5}},\"i\":1}";
        assertNull(some.decode(event.getBytes(StandardCharsets.UTF_8), row));
        assertTrue(row.isNullAt(3));
        assertTrue(row.isNullAt(10));
        assertEquals(StringData.fromString("kept"), row.getString(0));
        assertEquals(StringData.fromString("in"), row.getRow(8, 2).getString(0));
        assertTrue(row.getRow(8, 2).getRow(1, 1).isNullAt(0));
        assertEquals(1, row.getInt(2));
        String other = "{\"i\":\"x\"}";
        assertEquals("wrong_type: i: expected int, got string", some.decode(other.getBytes(StandardCharsets.UTF_8), row));
        EventDecoder all = new EventDecoder(COLUMNS, new Leniency(Set.of("*")));
        assertNull(all.decode(other.getBytes(StandardCharsets.UTF_8), row));
        String broken = "{\"l\":\"x\",\"i\":[1}";
        assertTrue(all.decode(broken.getBytes(StandardCharsets.UTF_8), row).startsWith("not_json"));
    }

    @Test
    void missingAndNullAreNullAndUndeclaredFieldsAreSkipped() {
        assertNull(decode(" {\"z\":[1,{\"s\":5}],\"zz\":{\"l\":\"x\",\"o\":{}},\"b\":null,\"n\":1e999,\"z\":1,\"o\":{}} \n"));
        for (int position = 0; position < 8; position++) {
            assertTrue(row.isNullAt(position));
        }
        assertTrue(row.getRow(8, 2).isNullAt(0));
    }

    @ParameterizedTest
    @CsvSource(delimiter = '|', quoteCharacter = '`', value = {
        "{\"l\":\"5\"}                        | wrong_type: l: expected bigint, got string",
        "{\"l\":5.0}                          | wrong_type: l: expected bigint, got number with a fraction or exponent",
        "{\"i\":1e2}                          | wrong_type: i: expected int, got number with a fraction or exponent",
        "{\"i\":true}                         | wrong_type: i: expected int, got boolean",
        "{\"i\":2147483648}                   | out_of_range: i: does not fit int",
        "{\"l\":9223372036854775808}          | out_of_range: l: does not fit bigint",
        "{\"d\":1e400}                        | out_of_range: d: does not fit double",
        "{\"f\":1e39}                         | out_of_range: f: does not fit float",
        "{\"d\":\"1.5\"}                      | wrong_type: d: expected double, got string",
        "{\"b\":\"true\"}                     | wrong_type: b: expected boolean, got string",
        "{\"b\":1}                            | wrong_type: b: expected boolean, got integer",
        "{\"s\":5}                            | wrong_type: s: expected string, got integer",
        "{\"s\":{\"x\":1}}                    | wrong_type: s: expected string, got object",
        "{\"s\":[]}                           | wrong_type: s: expected string, got array",
        "{\"o\":\"x\"}                        | wrong_type: o: expected object, got string",
        "{\"o\":{\"p\":{\"y\":false}}}        | wrong_type: o.p.y: expected bigint, got boolean",
        "{\"day\":\"2026-02-30\"}             | wrong_type: day: expected a date like 2026-03-01",
        "{\"day\":\"0000-12-31\"}             | wrong_type: day: expected a date like 2026-03-01",
        "{\"at\":\"0000-12-31T23:59:59Z\"}    | wrong_type: at: expected a timestamp like 2026-03-01T12:00:00Z",
        "{\"at\":\"0001-01-01T00:00:00+00:01\"} | wrong_type: at: expected a timestamp like 2026-03-01T12:00:00Z",
        "{\"at\":\"9999-12-31T23:59:59-00:01\"} | wrong_type: at: expected a timestamp like 2026-03-01T12:00:00Z",
        "{\"day\":20513}                      | wrong_type: day: expected date, got integer",
        "{\"at\":\"2026-03-01T12:00:00\"}     | wrong_type: at: expected a timestamp like 2026-03-01T12:00:00Z",
        "{\"at\":\"2026-03-01 12:00:00Z\"}    | wrong_type: at: expected a timestamp like 2026-03-01T12:00:00Z",
        "{\"at\":\"+12026-03-01T12:00:00Z\"}  | wrong_type: at: expected a timestamp like 2026-03-01T12:00:00Z",
        "{\"at\":1772366400}                  | wrong_type: at: expected timestamp, got integer",
        "{\"tags\":[\"a\",5]}                  | wrong_type: tags[1]: expected string, got integer",
        "{\"tags\":\"a\"}                     | wrong_type: tags: expected array, got string",
        "{\"codes\":[1,null,2147483648]}      | out_of_range: codes[2]: does not fit int",
        "{\"codes\":[[1]]}                    | wrong_type: codes[0]: expected int, got array",
        "{\"codes\":[1,]}                     | not_json: at byte 12",
        "{\"l\":tru}                          | not_json: at byte 8",
        "{\"z\":\"\\x\"}                     | not_json: at byte 7",
        "{\"z\":\"\\u12G4\"}                 | not_json: at byte 10",
        "{\"z\":[1}                           | not_json: at byte 7",
        "{\"z\":-}                            | not_json: at byte 6",
        "{\"s\":\"\\ud800\"}                  | not_utf8: s: half of a surrogate pair",
        "{\"s\":\"a\",\"s\":\"a\"}            | duplicate_field: s",
        "{\"o\":{\"x\":null,\"x\":\"b\"}}     | duplicate_field: o.x",
        "[]                                   | not_object: the event is an array",
        "\"s\"                                | not_object: the event is a string",
        "null                                 | not_object: the event is null",
        "17                                   | not_object: the event is an integer",
        "hello                                | not_json: at byte 0",
        "{\"l\":5}{}                          | not_json: more than one value",
        "{\"l\":5                             | not_json: ends early",
        "{\"z\":NaN}                          | not_json: at byte 5",
        "{\"l\":05}                           | not_json: at byte 6",
    })
    void oddEventsAreDeadWithTheReason(String event, String reason) {
        assertEquals(reason, decode(event));
    }

    @ParameterizedTest
    @ValueSource(strings = {"{\"l\":5,}", "{'l':5}", "{l:5}", "{\"l\":5} x", "{\"l\":5}\u0000", "{\"l\":+5}", "{\"z\":\"\u0001\"}", "/**/{}", "\ufeff{}"})
    void whatIsAlmostJsonIsDead(String event) {
        assertTrue(decode(event).startsWith("not_json: "));
    }

    @Test
    void noValueAndNoBytesAreDead() {
        assertEquals("no_value: the record has no value", decoder.decode(null, row));
        assertEquals("empty: the value has no bytes", decode(""));
        assertEquals("empty: white space only", decode(" \n"));
    }

    @Test
    void utf16IsNotTakenForJson() {
        assertTrue(decoder.decode("{}".getBytes(StandardCharsets.UTF_16BE), row).startsWith("not_json: "));
    }

    @Test
    void depthIsBoundedInSkippedFieldsToo() {
        assertNull(decode("{\"z\":" + "[".repeat(63) + "]".repeat(63) + "}"));
        assertEquals("too_deep: more than 64 levels", decode("{\"z\":" + "[".repeat(64) + "]".repeat(64) + "}"));
        assertEquals("too_deep: more than 64 levels", decode("{\"z\":" + "{\"z\":".repeat(100_000)));
    }

    @Test
    void hugeNumbersAreDeadOnlyWhereDeclared() {
        String digits = "9".repeat(1_000_000);
        assertNull(decode("{\"z\":" + digits + ",\"l\":1}"));
        assertEquals("out_of_range: l: does not fit bigint", decode("{\"l\":" + digits + "}"));
        assertEquals("out_of_range: d: does not fit double", decode("{\"d\":" + digits + ".5}"));
    }

    @Test
    void tenMegabytesDecode() {
        String text = "x".repeat(10_000_000);
        assertNull(decode("{\"z\":\"" + text + "\",\"s\":\"" + text + "\"}"));
        assertEquals(text.length(), row.getString(0).toBytes().length);
    }

    @Test
    void manyDifferentNamesAreNoFailure() {
        StringBuilder event = new StringBuilder("{\"l\":1");
        for (int name = 0; name < 50_000; name++) {
            event.append(",\"n").append(name).append("\":0");
        }
        assertNull(decode(event.append('}').toString()));
        assertEquals(1, row.getLong(3));
    }

    @Test
    void oneDeadEventDoesNotTouchTheNext() {
        assertEquals("duplicate_field: o.x", decode("{\"o\":{\"x\":\"a\",\"x\":\"b\"}}"));
        assertNull(decode("{\"o\":{\"x\":\"a\"}}"));
    }

    @Test
    void brokenBytesNeverThrow() {
        byte[] event = "{\"s\":\"hé 😀\",\"b\":true,\"i\":-7,\"d\":1.5e3,\"at\":\"2026-03-01T12:00:00Z\",\"o\":{\"p\":{\"y\":3}}}"
                .getBytes(StandardCharsets.UTF_8);
        Random random = new Random(7);
        for (int round = 0; round < 20_000; round++) {
            byte[] broken = event.clone();
            for (int change = 0; change <= round % 3; change++) {
                broken[random.nextInt(broken.length)] = (byte) random.nextInt(256);
            }
            String reason = decoder.decode(broken, new GenericRowData(COLUMNS.getFieldCount()));
            assertTrue(reason == null || !reason.startsWith("failed"), reason);
        }
    }

    @Test
    void withoutDeclaredColumnsEveryPayloadIsGood() {
        EventDecoder none = new EventDecoder((RowType) DataTypes.ROW().getLogicalType(), STRICT);
        assertNull(none.decode(null, new GenericRowData(0)));
        assertNull(none.decode(new byte[] {(byte) 0xFF}, new GenericRowData(0)));
    }
}
