package io.keystone.format;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.charset.StandardCharsets;
import org.apache.flink.table.data.RowData;
import org.junit.jupiter.api.Test;

class DecodeEventsTest {

    private static final int ARITY = EventDecoderTest.COLUMNS.getFieldCount();

    private static RowData decoded(String payload) {
        DecodeEvents function = new DecodeEvents(EventDecoderTest.COLUMNS, EventDecoderTest.STRICT);
        function.open(null);
        return function.decode(payload == null ? null : payload.getBytes(StandardCharsets.UTF_8));
    }

    @Test
    void aGoodPayloadIsItsColumnsWithoutAReason() {
        RowData row = decoded("{\"l\":5}");
        assertEquals(ARITY + 1, row.getArity());
        assertEquals(5, row.getLong(3));
        assertTrue(row.isNullAt(ARITY));
    }

    @Test
    void aDeadPayloadIsARowOfNullsWithTheReason() {
        RowData row = decoded("{\"s\":\"set before the error\",\"l\":\"x\"}");
        for (int position = 0; position < ARITY; position++) {
            assertTrue(row.isNullAt(position));
        }
        assertEquals("wrong_type: l: expected bigint, got string", row.getString(ARITY).toString());
    }

    @Test
    void noPayloadIsDeadAndNoEndOfTheJob() {
        assertEquals("no_value: the record has no value", decoded(null).getString(ARITY).toString());
    }
}
