package io.keystone.format;

import org.apache.flink.table.data.GenericRowData;

/** Decodes payloads of one encoding, one after the other. Not thread-safe: one per subtask. */
public interface PayloadDecoder {

    /**
     * Sets the declared columns in {@code row}, from position 0.
     *
     * <p>Without declared columns nothing is looked at, and every payload is good.
     *
     * @param payload null for a record without value.
     * @return null, or why the event is dead as {@code code: text}; then the columns hold anything.
     */
    String decode(byte[] payload, GenericRowData row);
}
