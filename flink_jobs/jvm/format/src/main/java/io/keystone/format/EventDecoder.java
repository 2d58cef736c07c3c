package io.keystone.format;

import org.apache.flink.table.data.GenericRowData;
import org.apache.flink.table.types.logical.RowType;

/** Decodes one event in one pass over its bytes. Not thread-safe: one per subtask. */
final class EventDecoder {

    private final ObjectDecoder fields;
    private final boolean decodes;
    private final JsonCursor cursor = new JsonCursor();

    EventDecoder(RowType columns, Leniency leniency) {
        this.fields = new ObjectDecoder(columns, "", leniency);
        this.decodes = columns.getFieldCount() > 0;
    }

    /**
     * Sets the declared columns in {@code row}, from position 0.
     *
     * <p>Without declared columns nothing is looked at, and every payload is good.
     *
     * @return null, or why the event is dead; then the columns hold anything.
     */
    String decode(byte[] payload, GenericRowData row) {
        if (!decodes) {
            return null;
        }
        try {
            check(payload);
            parse(payload, row);
            return null;
        } catch (DeadEvent dead) {
            return dead.getMessage();
        } catch (RuntimeException unexpected) {
            // a bug of the decoder must cost one event, not the router
            return "failed: " + unexpected.getClass().getSimpleName();
        }
    }

    private static void check(byte[] payload) throws DeadEvent {
        if (payload == null) {
            throw new DeadEvent("no_value", "the record has no value");
        }
        if (payload.length == 0) {
            throw new DeadEvent("empty", "the value has no bytes");
        }
        int malformed = Utf8.malformedAt(payload);
        if (malformed >= 0) {
            throw new DeadEvent("not_utf8", "at byte " + malformed);
        }
    }

    private void parse(byte[] payload, GenericRowData row) throws DeadEvent {
        cursor.reset(payload);
        if (cursor.nextOrEnd() < 0) {
            throw new DeadEvent("empty", "white space only");
        }
        if (cursor.kind() != JsonKind.OBJECT) {
            boolean isArray = cursor.kind() == JsonKind.ARRAY;
            throw new DeadEvent("not_object", "the event is " + (isArray ? JsonKind.ARRAY : cursor.skip()).withArticle());
        }
        fields.decodeInto(cursor, row);
        if (cursor.nextOrEnd() >= 0) {
            throw new DeadEvent("not_json", "more than one value");
        }
    }
}
