package io.keystone.format;

import java.io.Serializable;
import org.apache.flink.table.types.logical.RowType;

/** How payloads are encoded, as a value that goes into the job and makes the decoder where it runs. */
public interface Encoding extends Serializable {

    /** Returns a decoder of the declared columns. */
    PayloadDecoder decoder(RowType columns);
}
