package io.keystone.kafka;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.keystone.format.EventDeserializer;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.ServiceLoader;
import org.apache.flink.api.common.functions.util.ListCollector;
import org.apache.flink.kafka.shaded.org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.flink.kafka.shaded.org.apache.kafka.common.header.internals.RecordHeaders;
import org.apache.flink.kafka.shaded.org.apache.kafka.common.record.TimestampType;
import org.apache.flink.table.data.GenericRowData;
import org.apache.flink.table.data.MapData;
import org.apache.flink.table.data.RowData;
import org.apache.flink.table.data.StringData;
import org.apache.flink.table.data.TimestampData;
import org.apache.flink.table.factories.Factory;
import org.junit.jupiter.api.Test;

class RecordDeserializerTest {

    private static final byte[] KEY = bytes("k");
    private static final RecordLimits LIMITS = new RecordLimits(1 << 20, 1 << 10);

    /** Takes what begins with a brace, into one column. */
    private static final EventDeserializer EVENTS = (payload, row) -> {
        boolean good = payload != null && payload[0] == '{';
        row.setField(0, good ? StringData.fromBytes(payload) : null);
        return good ? null : "not_json: at byte 0";
    };

    private static byte[] bytes(String text) {
        return text.getBytes(StandardCharsets.UTF_8);
    }

    private static GenericRowData row(Carry carry, byte[] payload, RecordHeaders headers) throws Exception {
        RecordDeserializer records = new RecordDeserializer(EVENTS, 1, RecordMetadata.values(), carry, LIMITS, null);
        records.open(null);
        List<RowData> rows = new ArrayList<>();
        ConsumerRecord<byte[], byte[]> record = new ConsumerRecord<>(
                "playback", 3, 42L, 1_700_000_000_123L, TimestampType.CREATE_TIME, 1, 1, KEY, payload, headers, Optional.empty());
        records.deserialize(record, new ListCollector<>(rows));
        return (GenericRowData) rows.get(0);
    }

    private static Object field(GenericRowData row, RecordMetadata metadata) {
        return row.getField(1 + metadata.ordinal());
    }

    private static RecordHeaders headers(String... pairs) {
        RecordHeaders headers = new RecordHeaders();
        for (int index = 0; index < pairs.length; index += 2) {
            headers.add(pairs[index], pairs[index + 1] == null ? null : bytes(pairs[index + 1]));
        }
        return headers;
    }

    @Test
    void flinkFindsTheConnectorByItsName() {
        Factory found = ServiceLoader.load(Factory.class).stream()
                .map(ServiceLoader.Provider::get)
                .filter(factory -> factory.factoryIdentifier().equals("keystone-kafka"))
                .findFirst()
                .orElseThrow();
        assertInstanceOf(KeystoneKafkaFactory.class, found);
    }

    @Test
    void aGoodEventIsItsColumnsAndItsPlace() throws Exception {
        GenericRowData row = row(Carry.NOTHING, bytes("{}"), headers("ce_id", "g1", "ce_source", "h1/player"));
        assertEquals(StringData.fromString("{}"), row.getField(0));
        assertNull(field(row, RecordMetadata.ERROR));
        assertEquals(StringData.fromString("g1"), field(row, RecordMetadata.EVENT_ID));
        assertEquals(StringData.fromString("h1"), field(row, RecordMetadata.HOST));
        assertEquals(StringData.fromString("player"), field(row, RecordMetadata.APP));
        assertEquals(TimestampData.fromEpochMillis(1_700_000_000_123L), field(row, RecordMetadata.TIMESTAMP));
        assertEquals(StringData.fromString("playback"), field(row, RecordMetadata.TOPIC));
        assertEquals(3, field(row, RecordMetadata.PARTITION));
        assertEquals(42L, field(row, RecordMetadata.OFFSET));
    }

    @Test
    void aGoodEventCarriesNoMoreThanIsAskedFor() throws Exception {
        byte[] payload = bytes("{}");
        GenericRowData nothing = row(Carry.NOTHING, payload, headers("a", "1"));
        assertNull(field(nothing, RecordMetadata.RAW));
        assertNull(field(nothing, RecordMetadata.KEY));
        assertNull(field(nothing, RecordMetadata.HEADERS));
        GenericRowData onlyPayload = row(Carry.PAYLOAD, payload, headers("a", "1"));
        assertSame(payload, field(onlyPayload, RecordMetadata.RAW));
        assertNull(field(onlyPayload, RecordMetadata.KEY));
        assertNull(field(onlyPayload, RecordMetadata.HEADERS));
        GenericRowData record = row(Carry.RECORD, payload, headers("a", "1"));
        assertSame(payload, field(record, RecordMetadata.RAW));
        assertSame(KEY, field(record, RecordMetadata.KEY));
        assertEquals(1, ((MapData) field(record, RecordMetadata.HEADERS)).size());
    }

    @Test
    void aDeadEventCarriesItsRecordAndTheReason() throws Exception {
        byte[] payload = bytes("oops");
        for (Carry carry : Carry.values()) {
            GenericRowData row = row(carry, payload, headers("ce_id", "g1"));
            assertNull(row.getField(0));
            assertEquals(StringData.fromString("not_json: at byte 0"), field(row, RecordMetadata.ERROR));
            assertSame(payload, field(row, RecordMetadata.RAW));
            assertSame(KEY, field(row, RecordMetadata.KEY));
            assertEquals(1, ((MapData) field(row, RecordMetadata.HEADERS)).size());
        }
    }

    @Test
    void aTombstoneIsADeadEventAndNotSkipped() throws Exception {
        GenericRowData row = row(Carry.NOTHING, null, headers());
        assertEquals(StringData.fromString("not_json: at byte 0"), field(row, RecordMetadata.ERROR));
        assertNull(field(row, RecordMetadata.RAW));
    }

    @Test
    void headersKeepTheirOrderAndTheirRepeatedNames() throws Exception {
        MapData map = (MapData) field(row(Carry.RECORD, bytes("{}"), headers("b", "1", "a", null, "b", "2")), RecordMetadata.HEADERS);
        assertEquals(List.of("b", "a", "b"), List.of(
                map.keyArray().getString(0).toString(), map.keyArray().getString(1).toString(), map.keyArray().getString(2).toString()));
        assertArrayEquals(bytes("1"), map.valueArray().getBinary(0));
        assertTrue(map.valueArray().isNullAt(1));
        assertArrayEquals(bytes("2"), map.valueArray().getBinary(2));
    }

    @Test
    void foreignHeadersAreNoFailure() throws Exception {
        GenericRowData none = row(Carry.NOTHING, bytes("{}"), headers());
        for (RecordMetadata each : Arrays.asList(RecordMetadata.EVENT_ID, RecordMetadata.HOST, RecordMetadata.APP)) {
            assertNull(field(none, each));
        }
        GenericRowData noApp = row(Carry.NOTHING, bytes("{}"), headers("ce_source", "h1", "ce_id", "old", "ce_id", "new"));
        assertEquals(StringData.fromString("h1"), field(noApp, RecordMetadata.HOST));
        assertNull(field(noApp, RecordMetadata.APP));
        assertEquals(StringData.fromString("new"), field(noApp, RecordMetadata.EVENT_ID));
        GenericRowData path = row(Carry.NOTHING, bytes("{}"), headers("ce_source", "h1/app/more"));
        assertEquals(StringData.fromString("app"), field(path, RecordMetadata.APP));
        RecordHeaders broken = new RecordHeaders();
        broken.add("ce_source", new byte[] {'h', (byte) 0xFF, '/', 'a'});
        broken.add("ce_id", null);
        GenericRowData replaced = row(Carry.NOTHING, bytes("{}"), broken);
        assertEquals(StringData.fromString("h\uFFFD"), field(replaced, RecordMetadata.HOST));
        assertEquals(StringData.fromString("a"), field(replaced, RecordMetadata.APP));
        assertNull(field(replaced, RecordMetadata.EVENT_ID));
    }

    @Test
    void whatNoProducerCouldSendOnIsDeadAndItsLetterHoldsTheBeginning() throws Exception {
        byte[] payload = bytes("{" + "x".repeat(1 << 20));
        for (Carry carry : Carry.values()) {
            GenericRowData row = row(carry, payload, headers("a", "b"));
            assertEquals(
                    "too_large: key and payload have 1048578 bytes, at most 1048576 are taken",
                    field(row, RecordMetadata.ERROR).toString());
            assertNull(row.getField(0));
            assertArrayEquals(Arrays.copyOf(payload, 64 << 10), (byte[]) field(row, RecordMetadata.RAW));
            assertArrayEquals(KEY, (byte[]) field(row, RecordMetadata.KEY));
        }
        assertNull(field(row(Carry.RECORD, Arrays.copyOf(payload, (1 << 20) - 1), headers()), RecordMetadata.ERROR));
    }

    @Test
    void headersThatNoProducerCouldSendOnAreLeftOut() throws Exception {
        RecordHeaders many = headers("a", "x".repeat(1 << 10));
        GenericRowData passedOn = row(Carry.RECORD, bytes("{"), many);
        assertEquals("too_large: the headers have more than 1024 bytes", field(passedOn, RecordMetadata.ERROR).toString());
        assertEquals(0, ((MapData) field(passedOn, RecordMetadata.HEADERS)).size());
        assertArrayEquals(bytes("{"), (byte[]) field(passedOn, RecordMetadata.RAW));
        assertNull(field(row(Carry.NOTHING, bytes("{"), many), RecordMetadata.ERROR), "headers that nobody writes");
        GenericRowData broken = row(Carry.NOTHING, bytes("no"), many);
        assertEquals("not_json: at byte 0", field(broken, RecordMetadata.ERROR).toString());
        assertEquals(0, ((MapData) field(broken, RecordMetadata.HEADERS)).size());
    }
}
