package io.keystone.registry;

import io.keystone.format.DeadEvent;
import io.keystone.format.Leniency;
import io.keystone.format.Utf8;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.apache.flink.table.data.GenericArrayData;
import org.apache.flink.table.data.GenericRowData;

/** Readers of what holds other values. */
final class AvroReaders {

    private AvroReaders() {}

    /**
     * A field of a record, in the writer's order.
     *
     * @param position of the declared column; NONE where none is declared.
     * @param lenient whether it is null where it does not fit.
     */
    record Step(AvroReader reader, int position, boolean lenient) {
        static final int NONE = -1;

        static Step of(AvroReader reader, int position, String path, Leniency leniency) {
            return new Step(reader, position, leniency.covers(path));
        }

        /** Reads the value into the row. Returns what makes the row dead, or null. */
        DeadEvent into(GenericRowData row, ByteCursor cursor, int depth) throws DeadEvent {
            Object value = reader.read(cursor, depth);
            if (position == NONE) {
                return null;
            }
            if (value instanceof DeadEvent dead) {
                if (!lenient || !dead.isMisfit()) {
                    return dead;
                }
                value = null;
            }
            row.setField(position, value);
            return null;
        }
    }

    /** A record as a row of that many columns. */
    static final class Record implements AvroReader {
        private final int arity;

        /** Set after the reader is made: a record may hold itself. */
        Step[] steps = {};

        Record(int arity) {
            this.arity = arity;
        }

        @Override
        public Object read(ByteCursor cursor, int depth) throws DeadEvent {
            GenericRowData row = new GenericRowData(arity);
            DeadEvent dead = into(row, cursor, depth);
            return dead == null ? row : dead;
        }

        DeadEvent into(GenericRowData row, ByteCursor cursor, int depth) throws DeadEvent {
            int inside = AvroReader.deeper(depth);
            DeadEvent first = null;
            for (Step step : steps) {
                DeadEvent dead = step.into(row, cursor, inside);
                first = first == null ? dead : first;
            }
            return first;
        }
    }

    /** A map as a row: its keys are the columns' names, others are passed. Of equal keys the last counts. */
    record MapRow(int arity, Map<String, Step> declared, AvroReader other) implements AvroReader {
        @Override
        public Object read(ByteCursor cursor, int depth) throws DeadEvent {
            GenericRowData row = new GenericRowData(arity);
            int inside = AvroReader.deeper(depth);
            DeadEvent first = null;
            for (long count = blockOf(cursor, 1); count != 0; count = blockOf(cursor, 1)) {
                for (long index = 0; index < count; index++) {
                    int length = cursor.length(cursor.zigzag());
                    int start = cursor.pass(length);
                    if (Utf8.malformedAt(cursor.bytes(), start, start + length) >= 0) {
                        throw cursor.malformed();
                    }
                    Step step = declared.get(new String(cursor.bytes(), start, length, StandardCharsets.UTF_8));
                    if (step == null) {
                        other.read(cursor, inside);
                    } else {
                        DeadEvent dead = step.into(row, cursor, inside);
                        first = first == null ? dead : first;
                    }
                }
            }
            return first == null ? row : first;
        }
    }

    /** @param least bytes of an element, at least 1: what a block's count is checked by. */
    record Array(String path, AvroReader element, int least) implements AvroReader {
        @Override
        public Object read(ByteCursor cursor, int depth) throws DeadEvent {
            int inside = AvroReader.deeper(depth);
            List<Object> elements = new ArrayList<>();
            DeadEvent first = null;
            for (long count = blockOf(cursor, least); count != 0; count = blockOf(cursor, least)) {
                for (long index = 0; index < count; index++) {
                    Object value = element.read(cursor, inside);
                    if (value instanceof DeadEvent dead) {
                        first = first == null ? dead.inElement(path, elements.size()) : first;
                    }
                    elements.add(value);
                }
            }
            return first == null ? new GenericArrayData(elements.toArray()) : first;
        }
    }

    /** Passes an array or, with keys, a map. */
    record SkippedItems(AvroReader item, boolean hasKeys, int least) implements AvroReader {
        @Override
        public Object read(ByteCursor cursor, int depth) throws DeadEvent {
            int inside = AvroReader.deeper(depth);
            for (long count = blockOf(cursor, least); count != 0; count = blockOf(cursor, least)) {
                for (long index = 0; index < count; index++) {
                    if (hasKeys) {
                        int length = cursor.length(cursor.zigzag());
                        int start = cursor.pass(length);
                        if (Utf8.malformedAt(cursor.bytes(), start, start + length) >= 0) {
                            throw cursor.malformed();
                        }
                    }
                    item.read(cursor, inside);
                }
            }
            return null;
        }
    }

    /** One of several types, by its number. */
    record Union(AvroReader[] branches) implements AvroReader {
        @Override
        public Object read(ByteCursor cursor, int depth) throws DeadEvent {
            long branch = cursor.zigzag();
            if (branch < 0 || branch >= branches.length) {
                throw cursor.malformed();
            }
            return branches[(int) branch].read(cursor, depth);
        }
    }

    /** Passes a value whose type the column never takes. */
    record Misfit(AvroReader passing, DeadEvent why) implements AvroReader {
        @Override
        public Object read(ByteCursor cursor, int depth) throws DeadEvent {
            passing.read(cursor, depth);
            return why;
        }
    }

    /** Returns how many items the next block has; a negative count has the block's size in bytes behind it. */
    private static long blockOf(ByteCursor cursor, int least) throws DeadEvent {
        long count = cursor.zigzag();
        if (count < 0) {
            cursor.length(cursor.zigzag());
            count = -count;
        }
        if (count < 0 || count > cursor.remaining() / least) {
            throw cursor.malformed();
        }
        return count;
    }
}
