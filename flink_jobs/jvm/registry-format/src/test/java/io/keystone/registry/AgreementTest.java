package io.keystone.registry;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.keystone.format.Leniency;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.HexFormat;
import java.util.List;
import java.util.Set;
import java.util.zip.GZIPInputStream;
import org.apache.flink.table.api.DataTypes;
import org.apache.flink.table.data.ArrayData;
import org.apache.flink.table.data.GenericRowData;
import org.apache.flink.table.data.RowData;
import org.apache.flink.table.data.TimestampData;
import org.apache.flink.table.types.DataType;
import org.apache.flink.table.types.logical.ArrayType;
import org.apache.flink.table.types.logical.LogicalType;
import org.apache.flink.table.types.logical.RowType;
import org.junit.jupiter.api.Test;

/**
 * The formats make of each event what the audit's decoder, which is written in Python, makes of it. tests/unit/registry/test_agreement.py
 * writes the cases.
 */
class AgreementTest {

    private static final ObjectMapper JSON = new ObjectMapper();

    /** Another file than the checked-in one, for more cases than anybody wants to check in. */
    private static final String FILE = System.getenv("KEYSTONE_AGREEMENT");

    @Test
    void everyEventIsWhatTheAuditSays() throws Exception {
        int cases = 0;
        List<String> disagreements = new ArrayList<>();
        try (InputStream file = FILE == null
                ? AgreementTest.class.getResourceAsStream("/agreement.json.gz")
                : Files.newInputStream(Path.of(FILE))) {
            for (JsonNode each : JSON.readTree(new GZIPInputStream(file))) {
                String made = decoded(each).toString();
                if (!made.equals(each.get("expected").toString())) {
                    disagreements.add(made + " of " + each);
                }
                cases++;
            }
        }
        assertEquals(List.of(), disagreements.stream().limit(5).toList());
        assertTrue(cases > 300);
    }

    private static JsonNode decoded(JsonNode given) {
        RowType columns = (RowType) struct(given.get("columns")).getLogicalType();
        Set<String> nulls = new HashSet<>();
        given.get("nulls").forEach(each -> nulls.add(each.asText()));
        Leniency leniency = new Leniency(nulls);
        boolean isAvro = given.get("format").asText().equals("avro");
        FramedDecoder decoder = new FramedDecoder(
                new GivenRegistry(given),
                isAvro ? new AvroCompiler(columns, leniency) : new ProtoCompiler(columns, leniency),
                true,
                isAvro ? AvroCompiler.MALFORMED : ProtoCompiler.MALFORMED);
        GenericRowData row = new GenericRowData(columns.getFieldCount());
        String reason = decoder.decode(HexFormat.of().parseHex(given.get("payload").asText()), row);
        return reason == null
                ? JSON.createObjectNode().set("row", row(row, columns))
                : JSON.createObjectNode().put("dead", reason.split(":")[0]);
    }

    private record GivenRegistry(JsonNode given) implements SchemaRegistry {
        @Override
        public RegisteredSchema byId(int id) throws UnusableSchema {
            if (id != 1) {
                throw new UnusableSchema(UnusableSchema.UNKNOWN, "there is only 1");
            }
            List<RegisteredSchema.Reference> references = new ArrayList<>();
            given.get("imports").fieldNames().forEachRemaining(
                    each -> references.add(new RegisteredSchema.Reference("shared/" + each + ".proto", each, 1)));
            return new RegisteredSchema(given.get("type").asText(), given.get("schema").asText(), references);
        }

        @Override
        public RegisteredSchema bySubject(String subject, int version) {
            return new RegisteredSchema(given.get("type").asText(), given.get("imports").get(subject).asText(), List.of());
        }
    }

    private static DataType struct(JsonNode columns) {
        List<DataTypes.Field> fields = new ArrayList<>();
        columns.fields().forEachRemaining(each -> fields.add(DataTypes.FIELD(each.getKey(), type(each.getValue()))));
        return DataTypes.ROW(fields);
    }

    private static DataType type(JsonNode declared) {
        if (declared.isObject()) {
            return struct(declared);
        }
        String name = declared.asText();
        return name.startsWith("array<") ? DataTypes.ARRAY(scalar(name.substring(6, name.length() - 1))) : scalar(name);
    }

    private static DataType scalar(String name) {
        return switch (name) {
            case "string" -> DataTypes.STRING();
            case "boolean" -> DataTypes.BOOLEAN();
            case "int" -> DataTypes.INT();
            case "bigint" -> DataTypes.BIGINT();
            case "float" -> DataTypes.FLOAT();
            case "double" -> DataTypes.DOUBLE();
            case "date" -> DataTypes.DATE();
            case "timestamp" -> DataTypes.TIMESTAMP_LTZ(6);
            default -> throw new IllegalArgumentException(name);
        };
    }

    private static JsonNode row(RowData row, RowType type) {
        var made = JSON.createObjectNode();
        for (int position = 0; position < type.getFieldCount(); position++) {
            Object value = RowData.createFieldGetter(type.getTypeAt(position), position).getFieldOrNull(row);
            made.set(type.getFieldNames().get(position), value(value, type.getTypeAt(position)));
        }
        return made;
    }

    private static JsonNode value(Object value, LogicalType type) {
        if (value == null) {
            return JSON.nullNode();
        }
        return switch (type.getTypeRoot()) {
            case ROW -> row((RowData) value, (RowType) type);
            case ARRAY -> array((ArrayData) value, ((ArrayType) type).getElementType());
            case TIMESTAMP_WITH_LOCAL_TIME_ZONE -> {
                TimestampData time = (TimestampData) value;
                yield JSON.getNodeFactory().numberNode(time.getMillisecond() * 1000 + time.getNanoOfMillisecond() / 1000);
            }
            case FLOAT -> JSON.getNodeFactory().textNode(bits((float) value));
            case DOUBLE -> JSON.getNodeFactory().textNode(bits((double) value));
            case VARCHAR -> JSON.getNodeFactory().textNode(value.toString());
            default -> JSON.valueToTree(value);
        };
    }

    /** The hexadecimal digits of the double: two languages write decimals differently. */
    private static String bits(double value) {
        return HexFormat.of().toHexDigits(Double.doubleToLongBits(value));
    }

    private static JsonNode array(ArrayData array, LogicalType element) {
        var made = JSON.createArrayNode();
        ArrayData.ElementGetter getter = ArrayData.createElementGetter(element);
        for (int index = 0; index < array.size(); index++) {
            made.add(value(getter.getElementOrNull(array, index), element));
        }
        return made;
    }
}
