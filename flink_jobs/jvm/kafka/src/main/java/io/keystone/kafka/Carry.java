package io.keystone.kafka;

/** What of a good event's record a row carries beside the decoded columns. A dead event's row carries all of it. */
public enum Carry {
    /** Nothing: only dead letters need the bytes. */
    NOTHING,
    /** The payload. */
    PAYLOAD,
    /** Key, payload and headers. */
    RECORD
}
