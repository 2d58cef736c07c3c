package io.keystone.registry;

import io.keystone.format.DeadEvent;
import io.keystone.format.Leniency;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.apache.avro.AvroRuntimeException;
import org.apache.avro.NameValidator;
import org.apache.avro.Schema;
import org.apache.flink.table.types.logical.ArrayType;
import org.apache.flink.table.types.logical.LogicalType;
import org.apache.flink.table.types.logical.LogicalTypeRoot;
import org.apache.flink.table.types.logical.RowType;

/** Compiles a writer's schema and the declared columns, which meet by name, into a reader. */
final class AvroCompiler implements FramedDecoder.Compiler {

    static final String MALFORMED = "not_avro";

    private static final int MAX_REFERENCES = 100;

    private final RowType columns;
    private final Leniency leniency;

    AvroCompiler(RowType columns, Leniency leniency) {
        this.columns = columns;
        this.leniency = leniency;
    }

    @Override
    public List<Integer> way(ByteCursor frame) {
        return List.of();
    }

    @Override
    public PayloadReader compile(RegisteredSchema registered, List<Integer> way, SchemaRegistry registry) throws UnusableSchema {
        if (!registered.type().equals("AVRO")) {
            throw new UnusableSchema(UnusableSchema.UNUSABLE, "its type is " + registered.type() + ", and the stream's format is avro");
        }
        Schema writer = parsed(registered, registry);
        if (writer.getType() != Schema.Type.RECORD) {
            throw new UnusableSchema(UnusableSchema.UNUSABLE, "it describes no record");
        }
        AvroReaders.Record event = new Compilation().record(writer, columns, "");
        return (cursor, row) -> {
            DeadEvent dead = event.into(row, cursor, 0);
            if (!cursor.atEnd()) {
                throw cursor.malformed();
            }
            return dead;
        };
    }

    private static Schema parsed(RegisteredSchema registered, SchemaRegistry registry) throws UnusableSchema {
        Schema.Parser parser = new Schema.Parser(NameValidator.NO_VALIDATION);
        parser.setValidateDefaults(false);
        try {
            parseReferences(registered, registry, parser, new HashMap<>());
            return parser.parse(registered.text());
        } catch (AvroRuntimeException | StackOverflowError error) {
            throw new UnusableSchema(UnusableSchema.UNUSABLE, "it can't be parsed as an Avro schema");
        }
    }

    /** Parses what the schema refers to before it, and what that refers to before that. */
    private static void parseReferences(
            RegisteredSchema registered, SchemaRegistry registry, Schema.Parser parser, Map<RegisteredSchema.Reference, Boolean> seen)
            throws UnusableSchema {
        for (RegisteredSchema.Reference each : registered.references()) {
            RegisteredSchema.Reference place = new RegisteredSchema.Reference("", each.subject(), each.version());
            if (seen.putIfAbsent(place, true) != null) {
                continue;
            }
            if (seen.size() > MAX_REFERENCES) {
                throw new UnusableSchema(UnusableSchema.UNUSABLE, "it refers to more than " + MAX_REFERENCES + " others");
            }
            RegisteredSchema found = registry.bySubject(each.subject(), each.version());
            parseReferences(found, registry, parser, seen);
            parser.parse(found.text());
        }
    }

    private static DeadEvent misfit(String path, String expected, String found) {
        return DeadEvent.wrongType(path, "expected " + expected + ", got " + found);
    }

    /** One schema's readers; those that pass records are made once for each type, so that types may hold themselves. */
    private final class Compilation {
        private final Map<String, AvroReaders.Record> passing = new HashMap<>();

        AvroReaders.Record record(Schema writer, RowType declared, String path) throws UnusableSchema {
            AvroReaders.Record reader = new AvroReaders.Record(declared.getFieldCount());
            AvroReaders.Step[] steps = new AvroReaders.Step[writer.getFields().size()];
            for (Schema.Field field : writer.getFields()) {
                int position = declared.getFieldIndex(field.name());
                steps[field.pos()] = position < 0
                        ? new AvroReaders.Step(passing(field.schema()), AvroReaders.Step.NONE, false)
                        : step(field.schema(), declared, position, path);
            }
            reader.steps = steps;
            return reader;
        }

        private AvroReaders.Step step(Schema writer, RowType declared, int position, String path) throws UnusableSchema {
            RowType.RowField column = declared.getFields().get(position);
            String place = path.isEmpty() ? column.getName() : path + "." + column.getName();
            return AvroReaders.Step.of(reader(writer, column.getType(), place), position, place, leniency);
        }

        private AvroReader reader(Schema writer, LogicalType declared, String path) throws UnusableSchema {
            if (writer.getType() == Schema.Type.UNION) {
                AvroReader[] branches = new AvroReader[writer.getTypes().size()];
                for (int index = 0; index < branches.length; index++) {
                    branches[index] = reader(writer.getTypes().get(index), declared, path);
                }
                return new AvroReaders.Union(branches);
            }
            if (writer.getType() == Schema.Type.NULL) {
                return (cursor, depth) -> null;
            }
            if (declared.is(LogicalTypeRoot.ROW)) {
                return object(writer, (RowType) declared, path);
            }
            if (declared.is(LogicalTypeRoot.ARRAY)) {
                return array(writer, ((ArrayType) declared).getElementType(), path);
            }
            Column column = Column.of(declared, path);
            return switch (writer.getType()) {
                case RECORD, MAP -> new AvroReaders.Misfit(passing(writer), column.misfit("object"));
                case ARRAY -> new AvroReaders.Misfit(passing(writer), column.misfit("array"));
                default -> AvroScalars.reader(writer, column);
            };
        }

        private AvroReader object(Schema writer, RowType declared, String path) throws UnusableSchema {
            if (writer.getType() == Schema.Type.RECORD) {
                return record(writer, declared, path);
            }
            if (writer.getType() != Schema.Type.MAP) {
                return new AvroReaders.Misfit(passing(writer), misfit(path, "object", writer.getType().getName()));
            }
            Map<String, AvroReaders.Step> steps = new HashMap<>();
            for (int position = 0; position < declared.getFieldCount(); position++) {
                steps.put(declared.getFieldNames().get(position), step(writer.getValueType(), declared, position, path));
            }
            return new AvroReaders.MapRow(declared.getFieldCount(), steps, passing(writer.getValueType()));
        }

        private AvroReader array(Schema writer, LogicalType element, String path) throws UnusableSchema {
            if (writer.getType() != Schema.Type.ARRAY) {
                return new AvroReaders.Misfit(passing(writer), misfit(path, "array", writer.getType().getName()));
            }
            return new AvroReaders.Array(path, reader(writer.getElementType(), element, path + "[]"), leastOfItem(writer));
        }

        private AvroReader passing(Schema writer) throws UnusableSchema {
            return switch (writer.getType()) {
                case RECORD -> passingRecord(writer);
                case ARRAY -> new AvroReaders.SkippedItems(passing(writer.getElementType()), false, leastOfItem(writer));
                case MAP -> new AvroReaders.SkippedItems(passing(writer.getValueType()), true, 1);
                case UNION -> {
                    AvroReader[] branches = new AvroReader[writer.getTypes().size()];
                    for (int index = 0; index < branches.length; index++) {
                        branches[index] = passing(writer.getTypes().get(index));
                    }
                    yield new AvroReaders.Union(branches);
                }
                default -> AvroScalars.passing(writer);
            };
        }

        private AvroReader passingRecord(Schema writer) throws UnusableSchema {
            AvroReaders.Record known = passing.get(writer.getFullName());
            if (known != null) {
                return known;
            }
            AvroReaders.Record made = new AvroReaders.Record(0);
            passing.put(writer.getFullName(), made);
            AvroReaders.Step[] steps = new AvroReaders.Step[writer.getFields().size()];
            for (Schema.Field field : writer.getFields()) {
                steps[field.pos()] = new AvroReaders.Step(passing(field.schema()), AvroReaders.Step.NONE, false);
            }
            made.steps = steps;
            return made;
        }

        /** Items without bytes could be any number in a few bytes, and would keep a router busy for hours. */
        private int leastOfItem(Schema array) throws UnusableSchema {
            if (mayBeEmpty(array.getElementType(), new HashMap<>())) {
                throw new UnusableSchema(UnusableSchema.UNUSABLE, "it has an array whose elements may take no bytes");
            }
            return 1;
        }

        private boolean mayBeEmpty(Schema writer, Map<String, Boolean> within) {
            return switch (writer.getType()) {
                case NULL -> true;
                case FIXED -> writer.getFixedSize() == 0;
                case RECORD -> within.putIfAbsent(writer.getFullName(), true) != null
                        || writer.getFields().stream().allMatch(field -> mayBeEmpty(field.schema(), within));
                default -> false;
            };
        }
    }
}
