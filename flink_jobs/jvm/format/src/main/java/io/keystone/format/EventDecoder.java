package io.keystone.format;

import java.io.IOException;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.core.JsonFactory;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.core.JsonLocation;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.core.JsonParser;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.core.JsonProcessingException;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.core.JsonToken;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.core.StreamReadConstraints;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.core.exc.StreamConstraintsException;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.core.io.JsonEOFException;
import org.apache.flink.table.data.GenericRowData;
import org.apache.flink.table.types.logical.RowType;

/** Decodes one event in one pass over its bytes. Not thread-safe: one per subtask. */
final class EventDecoder {

    /** Objects and arrays within each other, the event itself included. */
    static final int MAX_DEPTH = 64;

    /** The size of a payload is bounded by the broker; only what costs more than its bytes is bounded here. */
    private static final StreamReadConstraints CONSTRAINTS =
            StreamReadConstraints.builder()
                    .maxNestingDepth(MAX_DEPTH)
                    .maxStringLength(Integer.MAX_VALUE)
                    .maxNameLength(Integer.MAX_VALUE)
                    .maxNumberLength(Integer.MAX_VALUE)
                    .build();

    private static final JsonFactory FACTORY =
            JsonFactory.builder()
                    // else UTF-16 and UTF-32 are guessed from the first bytes
                    .disable(JsonFactory.Feature.CHARSET_DETECTION)
                    // else an event with names made to collide is refused although it is JSON
                    .disable(JsonFactory.Feature.FAIL_ON_SYMBOL_HASH_OVERFLOW)
                    // undeclared names are many and of no use
                    .disable(JsonFactory.Feature.INTERN_FIELD_NAMES)
                    .streamReadConstraints(CONSTRAINTS)
                    .build();

    private final ObjectDecoder fields;
    private final boolean decodes;

    EventDecoder(RowType columns) {
        this.fields = new ObjectDecoder(columns, "");
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
        } catch (StreamConstraintsException tooDeep) {
            return "too_deep: more than " + MAX_DEPTH + " levels";
        } catch (JsonEOFException early) {
            return "not_json: ends early";
        } catch (JsonProcessingException broken) {
            JsonLocation place = broken.getLocation();
            return "not_json: at byte " + (place == null ? "?" : place.getByteOffset());
        } catch (IOException | RuntimeException unexpected) {
            // a bug of decoder or parser must cost one event, not the router
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

    private void parse(byte[] payload, GenericRowData row) throws IOException, DeadEvent {
        try (JsonParser parser = FACTORY.createParser(payload)) {
            JsonToken first = parser.nextToken();
            if (first == null) {
                throw new DeadEvent("empty", "white space only");
            }
            if (first != JsonToken.START_OBJECT) {
                throw new DeadEvent("not_object", "the event is " + TypeNames.article(first));
            }
            fields.decodeInto(parser, row);
            if (parser.nextToken() != null) {
                throw new DeadEvent("not_json", "more than one value");
            }
        }
    }
}
