package io.keystone.registry;

import io.keystone.format.DeadEvent;
import io.keystone.format.PayloadDecoder;
import java.nio.ByteBuffer;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.apache.flink.table.data.GenericRowData;

/**
 * Decodes Confluent's wire format: a zero byte, the id of the writer's schema, the data.
 *
 * <p>A schema is compiled once, when an event first names it. That the registry has no such schema is asked again after a while, so
 * that a mistake there can be mended.
 */
final class FramedDecoder implements PayloadDecoder {

    private static final int HEADER_BYTES = 5;

    private static final long ASK_AGAIN_NANOS = 30_000_000_000L;

    /** Ids without a schema that are remembered: bytes that are no frame may name any. */
    private static final int REMEMBERED = 1000;

    /** Makes readers of the declared columns. */
    interface Compiler {
        /** Returns the way to the message within the schema, which the frame names after the id, and passes it. */
        List<Integer> way(ByteCursor frame) throws DeadEvent;

        PayloadReader compile(RegisteredSchema schema, List<Integer> way, SchemaRegistry registry) throws UnusableSchema;
    }

    private record Key(int id, List<Integer> way) {}

    private record Refusal(UnusableSchema why, long at) {}

    private final SchemaRegistry registry;
    private final Compiler compiler;
    private final boolean decodes;
    private final ByteCursor cursor;
    private final Map<Key, PayloadReader> readers = new HashMap<>();
    private final Map<Key, Refusal> refused = new HashMap<>();

    FramedDecoder(SchemaRegistry registry, Compiler compiler, boolean decodes, String malformed) {
        this.registry = registry;
        this.compiler = compiler;
        this.decodes = decodes;
        this.cursor = new ByteCursor(malformed);
    }

    @Override
    public String decode(byte[] payload, GenericRowData row) {
        if (!decodes) {
            return null;
        }
        if (payload == null) {
            return "no_value: the record has no value";
        }
        if (payload.length == 0) {
            return "empty: the value has no bytes";
        }
        if (payload.length < HEADER_BYTES || payload[0] != 0) {
            return "not_framed: a zero byte and a schema id are expected before the data";
        }
        try {
            DeadEvent misfit = read(payload, row);
            return misfit == null ? null : misfit.getMessage();
        } catch (DeadEvent dead) {
            return dead.getMessage();
        } catch (UnusableSchema unusable) {
            return unusable.getMessage();
        }
    }

    private DeadEvent read(byte[] payload, GenericRowData row) throws DeadEvent, UnusableSchema {
        cursor.reset(payload, HEADER_BYTES);
        Key key = new Key(ByteBuffer.wrap(payload).getInt(1), compiler.way(cursor));
        PayloadReader reader = readers.get(key);
        if (reader == null) {
            reader = compiled(key);
            readers.put(key, reader);
        }
        return reader.read(cursor, row);
    }

    private PayloadReader compiled(Key key) throws UnusableSchema {
        Refusal before = refused.get(key);
        if (before != null && System.nanoTime() - before.at() < ASK_AGAIN_NANOS) {
            throw before.why();
        }
        try {
            return compiler.compile(registry.byId(key.id()), key.way(), registry);
        } catch (UnusableSchema unusable) {
            if (refused.size() >= REMEMBERED) {
                refused.clear();
            }
            refused.put(key, new Refusal(unusable, System.nanoTime()));
            throw unusable;
        }
    }
}
