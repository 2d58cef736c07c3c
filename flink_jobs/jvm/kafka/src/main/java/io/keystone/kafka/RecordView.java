package io.keystone.kafka;

import java.nio.charset.StandardCharsets;
import org.apache.flink.kafka.shaded.org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.flink.kafka.shaded.org.apache.kafka.common.header.Header;
import org.apache.flink.kafka.shaded.org.apache.kafka.common.header.Headers;
import org.apache.flink.kafka.shaded.org.apache.kafka.common.header.internals.RecordHeaders;
import org.apache.flink.table.data.MapData;
import org.apache.flink.table.data.StringData;
import org.apache.flink.table.data.TimestampData;
import org.apache.flink.table.data.binary.BinaryStringData;

/** A record in Flink's internal values, each made when it is asked for. Shows one record after the other. */
final class RecordView {

    /** Headers of CloudEvents 1.0, Kafka protocol binding, binary content mode. */
    private static final String CE_ID = "ce_id";

    private static final String CE_SOURCE = "ce_source";

    private static final Headers NONE = new RecordHeaders();

    private final Carry carry;
    private final RecordLimits limits;

    private ConsumerRecord<byte[], byte[]> record;
    private String error;
    private boolean looked;
    private byte[] id;
    private byte[] source;
    private int slash;

    private String topicName;
    private StringData topic;

    RecordView(Carry carry, RecordLimits limits) {
        this.carry = carry;
        this.limits = limits;
    }

    void show(ConsumerRecord<byte[], byte[]> shown, String reason) {
        record = shown;
        error = reason;
        looked = false;
    }

    StringData error() {
        return error == null ? null : StringData.fromString(error);
    }

    byte[] key() {
        if (error != null) {
            return limits.letter(record.key(), record);
        }
        return carry == Carry.RECORD ? record.key() : null;
    }

    byte[] raw() {
        if (error != null) {
            return limits.letter(record.value(), record);
        }
        return carry == Carry.NOTHING ? null : record.value();
    }

    MapData headers() {
        if (error != null) {
            return HeaderMap.of(limits.hasTooManyHeaders(record.headers()) ? NONE : record.headers());
        }
        return carry == Carry.RECORD ? HeaderMap.of(record.headers()) : null;
    }

    StringData eventId() {
        look();
        return id == null ? null : text(id, 0, id.length);
    }

    /** The part of {@code host/app} before the first slash. */
    StringData host() {
        look();
        return source == null ? null : text(source, 0, slash < 0 ? source.length : slash);
    }

    /** The part after the first slash up to the next. */
    StringData app() {
        look();
        return source == null || slash < 0 ? null : text(source, slash + 1, end(source, slash + 1));
    }

    TimestampData timestamp() {
        return TimestampData.fromEpochMillis(record.timestamp());
    }

    StringData topic() {
        if (record.topic() != topicName) {
            topicName = record.topic();
            topic = StringData.fromString(topicName);
        }
        return topic;
    }

    int partition() {
        return record.partition();
    }

    long offset() {
        return record.offset();
    }

    /**
     * Of several headers of one name the last counts. Kafka's client decodes a header's name when it is first asked for, so
     * searching from the end is cheap for producers that put these two there.
     */
    private void look() {
        if (looked) {
            return;
        }
        looked = true;
        source = value(CE_SOURCE);
        id = value(CE_ID);
        slash = source == null ? -1 : slashFrom(source, 0);
    }

    private byte[] value(String name) {
        Header header = record.headers().lastHeader(name);
        return header == null ? null : header.value();
    }

    private static int slashFrom(byte[] text, int from) {
        for (int at = from; at < text.length; at++) {
            if (text[at] == '/') {
                return at;
            }
        }
        return -1;
    }

    private static int end(byte[] text, int from) {
        int next = slashFrom(text, from);
        return next < 0 ? text.length : next;
    }

    /** Returns the bytes as text; what is not UTF-8 becomes U+FFFD, as these headers come from anybody. */
    private static StringData text(byte[] bytes, int start, int end) {
        for (int at = start; at < end; at++) {
            if (bytes[at] < 0) {
                return StringData.fromString(new String(bytes, start, end - start, StandardCharsets.UTF_8));
            }
        }
        return BinaryStringData.fromBytes(bytes, start, end - start);
    }
}
