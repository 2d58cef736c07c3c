package io.keystone.format;

import org.apache.flink.table.data.GenericRowData;
import org.apache.flink.table.types.logical.RowType;

/** Decodes one JSON event in one pass over its bytes. */
final class EventDecoder implements PayloadDecoder {

    private final ObjectDecoder fields;
    private final boolean decodes;
    private final JsonCursor cursor = new JsonCursor();

    EventDecoder(RowType columns, Leniency leniency) {
        this.fields = new ObjectDecoder(columns, "", leniency);
        this.decodes = columns.getFieldCount() > 0;
    }

    @Override
    public String decode(byte[] payload, GenericRowData row) {
        if (!decodes) {
            return null;
        }
        if (payload == null) {
            return "no_value: the record has no value";
        }
        String reason = reason(payload, row);
        if (reason == null && cursor.sawOnlyAscii()) {
            return null;
        }
        // bytes that are no text are the reason, whatever else they led to
        int malformed = Utf8.malformedAt(payload);
        return malformed < 0 ? reason : "not_utf8: at byte " + malformed;
    }

    private String reason(byte[] payload, GenericRowData row) {
        try {
            parse(payload, row);
            return null;
        } catch (DeadEvent dead) {
            return dead.getMessage();
        } catch (RuntimeException unexpected) {
            // a bug of the decoder must cost one event, not the router
            return "failed: " + unexpected.getClass().getSimpleName();
        }
    }

    private void parse(byte[] payload, GenericRowData row) throws DeadEvent {
        if (payload.length == 0) {
            throw new DeadEvent("empty", "the value has no bytes");
        }
        cursor.reset(payload);
        if (cursor.atEnd()) {
            throw new DeadEvent("empty", "white space only");
        }
        if (cursor.kind() != JsonKind.OBJECT) {
            boolean isArray = cursor.kind() == JsonKind.ARRAY;
            throw new DeadEvent("not_object", "the event is " + (isArray ? JsonKind.ARRAY : cursor.skipScalar()).withArticle());
        }
        fields.decodeInto(cursor, row);
        if (!cursor.atEnd()) {
            throw new DeadEvent("not_json", "more than one value");
        }
    }
}
