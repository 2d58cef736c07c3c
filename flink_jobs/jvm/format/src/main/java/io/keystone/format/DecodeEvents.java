package io.keystone.format;

import java.util.List;
import java.util.Optional;
import java.util.Set;
import org.apache.flink.table.api.DataTypes;
import org.apache.flink.table.api.ValidationException;
import org.apache.flink.table.catalog.DataTypeFactory;
import org.apache.flink.table.data.GenericRowData;
import org.apache.flink.table.data.RowData;
import org.apache.flink.table.data.StringData;
import org.apache.flink.table.functions.FunctionContext;
import org.apache.flink.table.functions.SpecializedFunction;
import org.apache.flink.table.functions.TableFunction;
import org.apache.flink.table.functions.UserDefinedFunction;
import org.apache.flink.table.types.DataType;
import org.apache.flink.table.types.inference.CallContext;
import org.apache.flink.table.types.inference.InputTypeStrategies;
import org.apache.flink.table.types.inference.TypeInference;
import org.apache.flink.table.types.logical.RowType;
import org.apache.flink.table.types.utils.DataTypeUtils;

/**
 * The format {@code keystone-json} for payloads that lie in a table: {@code DECODE(columns, null_on_type_error, payload)}.
 *
 * <p>The first two arguments are literals: a row type as SQL writes it, and dotted paths separated by {@code ;} (see {@link
 * Leniency}). Gives one row for each payload, whatever it holds: the columns, then {@code _error}, as the format's metadata.
 * A table function, since the planner may call a scalar one once for each column that is taken out of its row.
 */
public final class DecodeEvents extends TableFunction<RowData> implements SpecializedFunction {

    private static final long serialVersionUID = 1L;

    private static final String ERROR = "_error";

    private static final String SEPARATOR = ";";

    private final RowType columns;
    private final Leniency leniency;

    private transient EventDecoder decoder;

    /** Of Flink's, before the call's arguments are known. */
    public DecodeEvents() {
        this(null, Leniency.NONE);
    }

    DecodeEvents(RowType columns, Leniency leniency) {
        this.columns = columns;
        this.leniency = leniency;
    }

    @Override
    public TypeInference getTypeInference(DataTypeFactory types) {
        return TypeInference.newBuilder()
                .inputTypeStrategy(InputTypeStrategies.sequence(
                        InputTypeStrategies.explicit(DataTypes.STRING().notNull().bridgedTo(StringData.class)),
                        InputTypeStrategies.explicit(DataTypes.STRING().notNull().bridgedTo(StringData.class)),
                        InputTypeStrategies.explicit(DataTypes.BYTES())))
                .outputTypeStrategy(call -> Optional.of(
                        DataTypeUtils.appendRowFields(columns(call), List.of(DataTypes.FIELD(ERROR, DataTypes.STRING())))
                                .notNull()
                                .bridgedTo(RowData.class)))
                .build();
    }

    @Override
    public UserDefinedFunction specialize(SpecializedContext context) {
        CallContext call = context.getCallContext();
        String paths = literal(call, 1);
        return new DecodeEvents(
                (RowType) columns(call).getLogicalType(),
                new Leniency(paths.isEmpty() ? Set.of() : Set.of(paths.split(SEPARATOR))));
    }

    @Override
    public void open(FunctionContext context) {
        decoder = new EventDecoder(columns, leniency);
    }

    /** Called by generated code. */
    public void eval(StringData type, StringData paths, byte[] payload) {
        collect(decode(payload));
    }

    RowData decode(byte[] payload) {
        int count = columns.getFieldCount();
        GenericRowData row = new GenericRowData(count + 1);
        String reason = decoder.decode(payload, row);
        if (reason != null) {
            row = new GenericRowData(count + 1);
            row.setField(count, StringData.fromString(reason));
        }
        return row;
    }

    private static DataType columns(CallContext call) {
        DataType type = call.getDataTypeFactory().createDataType(literal(call, 0));
        if (type.getLogicalType() instanceof RowType) {
            return type;
        }
        throw new ValidationException("the columns of a payload are a ROW<…>, not " + type);
    }

    private static String literal(CallContext call, int position) {
        return call.getArgumentValue(position, String.class)
                .orElseThrow(() -> new ValidationException("argument " + (position + 1) + " of a decoder is a literal"));
    }
}
