package io.keystone.kafka;

import java.io.Serializable;
import java.util.Arrays;
import org.apache.flink.kafka.shaded.org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.flink.kafka.shaded.org.apache.kafka.common.header.Header;
import org.apache.flink.kafka.shaded.org.apache.kafka.common.header.Headers;

/**
 * How large a record may be. Brokers bound a batch as it is compressed, so a topic takes records that no producer may send on
 * as they are: a router that tried would start again for ever.
 *
 * @param eventBytes of key and payload together; a larger event is dead, and its letter holds the beginnings of both.
 * @param headersBytes of all names and values; where headers are written on, an event with more is dead. Its letter, and every
 *     dead letter with more, has none of the event's headers.
 */
record RecordLimits(int eventBytes, int headersBytes) implements Serializable {

    private static final long serialVersionUID = 1L;

    private static final int BEGINNING = 64 * 1024;

    /** Returns why the event is too large, or null. */
    String exceeded(ConsumerRecord<byte[], byte[]> record, Carry carry) {
        long size = (long) length(record.key()) + length(record.value());
        if (size > eventBytes) {
            return "too_large: key and payload have " + size + " bytes, at most " + eventBytes + " are taken";
        }
        if (carry == Carry.RECORD && hasTooManyHeaders(record.headers())) {
            return "too_large: the headers have more than " + headersBytes + " bytes";
        }
        return null;
    }

    boolean hasTooManyHeaders(Headers headers) {
        long size = 0;
        for (Header header : headers) {
            size += header.key().length() + length(header.value());
        }
        return size > headersBytes;
    }

    /** Returns the bytes of a dead letter: all of them, or the beginning where the event is too large. */
    byte[] letter(byte[] bytes, ConsumerRecord<byte[], byte[]> record) {
        boolean fits = bytes == null || (long) length(record.key()) + length(record.value()) <= eventBytes;
        return fits || bytes.length <= BEGINNING ? bytes : Arrays.copyOf(bytes, BEGINNING);
    }

    private static int length(byte[] bytes) {
        return bytes == null ? 0 : bytes.length;
    }
}
