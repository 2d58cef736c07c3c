package io.keystone.format;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.ServiceLoader;
import org.apache.flink.api.common.functions.util.ListCollector;
import org.apache.flink.table.data.RowData;
import org.apache.flink.table.factories.Factory;
import org.apache.flink.table.types.logical.RowType;
import org.junit.jupiter.api.Test;

class KeystoneJsonFormatTest {

    private static final RowType COLUMNS = EventDecoderTest.COLUMNS;
    private static final int ARITY = COLUMNS.getFieldCount();

    private static EventDeserializationSchema schema(int errorPosition, int rawPosition, int arity) {
        EventDeserializationSchema schema =
                new EventDeserializationSchema(
                        COLUMNS, new KeystoneJsonFormatFactory.Json(EventDecoderTest.STRICT), null, arity, errorPosition, rawPosition);
        schema.open(null);
        return schema;
    }

    @Test
    void flinkFindsTheFormatByItsName() {
        Factory found = ServiceLoader.load(Factory.class).stream()
                .map(ServiceLoader.Provider::get)
                .filter(factory -> factory.factoryIdentifier().equals("keystone-json"))
                .findFirst()
                .orElseThrow();
        assertInstanceOf(KeystoneJsonFormatFactory.class, found);
    }

    @Test
    void aDeadEventIsARowOfNullsWithReasonAndBytes() {
        byte[] payload = "{\"s\":\"set before the error\",\"l\":\"x\"}".getBytes(StandardCharsets.UTF_8);
        RowData row = schema(ARITY, ARITY + 1, ARITY + 2).deserialize(payload);
        for (int position = 0; position < ARITY; position++) {
            assertTrue(row.isNullAt(position));
        }
        assertEquals("wrong_type: l: expected bigint, got string", row.getString(ARITY).toString());
        assertSame(payload, row.getBinary(ARITY + 1));
    }

    @Test
    void aGoodEventHasNoReasonAndItsBytes() {
        byte[] payload = "{\"l\":5}".getBytes(StandardCharsets.UTF_8);
        RowData row = schema(ARITY + 1, ARITY, ARITY + 2).deserialize(payload);
        assertEquals(5, row.getLong(3));
        assertTrue(row.isNullAt(ARITY + 1));
        assertSame(payload, row.getBinary(ARITY));
    }

    @Test
    void aRecordWithoutValueIsNotDropped() {
        List<RowData> out = new ArrayList<>();
        schema(ARITY, EventDeserializationSchema.NOT_ASKED_FOR, ARITY + 1).deserialize(null, new ListCollector<>(out));
        assertEquals(1, out.size());
        assertEquals("no_value: the record has no value", out.get(0).getString(ARITY).toString());
    }
}
