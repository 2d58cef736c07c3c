package io.keystone.registry;

import io.keystone.format.DeadEvent;
import org.apache.flink.table.data.GenericRowData;

/** Reads payloads of one writer's schema. */
interface PayloadReader {

    /**
     * Reads from where the cursor stands to the payload's end.
     *
     * @return null, or the first declared value that does not fit.
     * @throws DeadEvent the bytes are not what the schema says.
     */
    DeadEvent read(ByteCursor cursor, GenericRowData row) throws DeadEvent;
}
