package io.keystone.registry;

import com.google.protobuf.Descriptors.Descriptor;
import io.keystone.format.DeadEvent;
import io.keystone.format.Leniency;
import java.util.ArrayList;
import java.util.List;
import org.apache.flink.table.types.logical.RowType;

/** Compiles a message's descriptor and the declared columns, which meet by name, into a reader. */
final class ProtoCompiler implements FramedDecoder.Compiler {

    static final String MALFORMED = "not_protobuf";

    /** Messages within each other that a frame may name; more are no frame. */
    private static final int MAX_WAY = 16;

    private final RowType columns;
    private final Leniency leniency;

    ProtoCompiler(RowType columns, Leniency leniency) {
        this.columns = columns;
        this.leniency = leniency;
    }

    /** A count and so many indexes, zigzag; a single 0 stands for the first message. */
    @Override
    public List<Integer> way(ByteCursor frame) throws DeadEvent {
        long count = frame.zigzag();
        if (count == 0) {
            return List.of(0);
        }
        if (count < 0 || count > MAX_WAY) {
            throw notFramed();
        }
        List<Integer> way = new ArrayList<>((int) count);
        for (int index = 0; index < count; index++) {
            long next = frame.zigzag();
            if (next < 0 || next > Integer.MAX_VALUE) {
                throw notFramed();
            }
            way.add((int) next);
        }
        return way;
    }

    private static DeadEvent notFramed() {
        return new DeadEvent("not_framed", "no list of message indexes behind the schema id");
    }

    @Override
    public PayloadReader compile(RegisteredSchema registered, List<Integer> way, SchemaRegistry registry) throws UnusableSchema {
        Descriptor message = ProtoSchemas.message(registered, way, registry);
        MessageReader event = new MessageReader(message, columns, "", leniency);
        return (cursor, row) -> event.into(row, cursor, List.of(new Part(cursor.position(), cursor.end())));
    }

    /** A part of the payload. A message that occurs more than once is all of its parts, read one behind the other. */
    record Part(int start, int end) {}
}
