package io.keystone.format;

import java.io.Serializable;
import org.apache.flink.table.data.GenericRowData;

/**
 * Decodes payloads and never fails: what a format's {@link org.apache.flink.api.common.serialization.DeserializationSchema} has
 * to be as well for routers to read with it. Every encoding of events joins here.
 */
public interface EventDeserializer extends Serializable {

    /**
     * Sets the declared columns of {@code row}, which may be wider, from position 0; those without a value stay as they are.
     *
     * @param payload null for a record without value.
     * @return null, or why the event is dead as {@code code: text}; then the declared columns are null.
     */
    String deserialize(byte[] payload, GenericRowData row);
}
