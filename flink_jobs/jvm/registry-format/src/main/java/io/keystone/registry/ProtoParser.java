package io.keystone.registry;

import com.google.protobuf.DescriptorProtos.DescriptorProto;
import com.google.protobuf.DescriptorProtos.EnumDescriptorProto;
import com.google.protobuf.DescriptorProtos.EnumValueDescriptorProto;
import com.google.protobuf.DescriptorProtos.FieldDescriptorProto;
import com.google.protobuf.DescriptorProtos.FieldDescriptorProto.Label;
import com.google.protobuf.DescriptorProtos.FieldDescriptorProto.Type;
import com.google.protobuf.DescriptorProtos.FileDescriptorProto;
import com.google.protobuf.DescriptorProtos.MessageOptions;
import com.google.protobuf.DescriptorProtos.OneofDescriptorProto;
import java.util.Locale;
import java.util.Map;

/**
 * Reads the text of a .proto file (syntax proto2 and proto3) as far as decoding needs it: messages, enums and fields. Options,
 * services, extensions and reserved names are passed. Names of types are resolved later, by Protobuf's own code.
 *
 * <p>Registries hold the text, and Protobuf's own parser is a program in C++.
 */
final class ProtoParser {

    private static final Map<String, Type> TYPES = Map.ofEntries(
            Map.entry("double", Type.TYPE_DOUBLE),
            Map.entry("float", Type.TYPE_FLOAT),
            Map.entry("int32", Type.TYPE_INT32),
            Map.entry("int64", Type.TYPE_INT64),
            Map.entry("uint32", Type.TYPE_UINT32),
            Map.entry("uint64", Type.TYPE_UINT64),
            Map.entry("sint32", Type.TYPE_SINT32),
            Map.entry("sint64", Type.TYPE_SINT64),
            Map.entry("fixed32", Type.TYPE_FIXED32),
            Map.entry("fixed64", Type.TYPE_FIXED64),
            Map.entry("sfixed32", Type.TYPE_SFIXED32),
            Map.entry("sfixed64", Type.TYPE_SFIXED64),
            Map.entry("bool", Type.TYPE_BOOL),
            Map.entry("string", Type.TYPE_STRING),
            Map.entry("bytes", Type.TYPE_BYTES));

    private static final Map<String, Label> LABELS = Map.of(
            "optional", Label.LABEL_OPTIONAL, "required", Label.LABEL_REQUIRED, "repeated", Label.LABEL_REPEATED);

    private static final int MAX_NESTING = 100;

    private final ProtoTokens tokens;
    private boolean isProto3;

    private ProtoParser(String text) {
        tokens = new ProtoTokens(text);
    }

    /** Throws IllegalArgumentException for a text that is no .proto file, or in a language of later than proto3. */
    static FileDescriptorProto parse(String name, String text) {
        return new ProtoParser(text).file(name);
    }

    private FileDescriptorProto file(String name) {
        FileDescriptorProto.Builder file = FileDescriptorProto.newBuilder().setName(name);
        if (tokens.passes("syntax")) {
            tokens.pass("=");
            String syntax = tokens.text();
            isProto3 = syntax.equals("proto3");
            if (!isProto3 && !syntax.equals("proto2")) {
                throw new IllegalArgumentException("an unknown syntax");
            }
            tokens.pass(";");
            file.setSyntax(syntax);
        }
        while (!tokens.atEnd()) {
            switch (tokens.next()) {
                case "package" -> file.setPackage(tokens.next());
                case "import" -> {
                    if (tokens.passes("public")) {
                        file.addPublicDependency(file.getDependencyCount());
                    } else {
                        tokens.passes("weak");
                    }
                    file.addDependency(tokens.text());
                }
                case "option" -> {
                    tokens.skipTo(";");
                    continue;
                }
                case "message" -> {
                    file.addMessageType(message(0));
                    continue;
                }
                case "enum" -> {
                    file.addEnumType(enumeration());
                    continue;
                }
                case "extend", "service" -> {
                    tokens.skipTo("{");
                    tokens.skipTo("}");
                    continue;
                }
                case ";" -> {
                    continue;
                }
                default -> throw new IllegalArgumentException("an unknown statement");
            }
            tokens.pass(";");
        }
        return file.build();
    }

    private DescriptorProto message(int depth) {
        DescriptorProto.Builder message = DescriptorProto.newBuilder().setName(tokens.next());
        body(message, depth);
        return message.build();
    }

    private void body(DescriptorProto.Builder message, int depth) {
        if (depth > MAX_NESTING) {
            throw new IllegalArgumentException("messages nested too deep");
        }
        tokens.pass("{");
        while (!tokens.passes("}")) {
            statement(message, depth);
        }
        // the descriptor wants made-up oneofs behind the real ones
        for (FieldDescriptorProto.Builder field : message.getFieldBuilderList()) {
            if (field.getProto3Optional()) {
                field.setOneofIndex(message.getOneofDeclCount());
                message.addOneofDecl(OneofDescriptorProto.newBuilder().setName("_" + field.getName()));
            }
        }
    }

    private void statement(DescriptorProto.Builder message, int depth) {
        String word = tokens.peek();
        // a field may be of a type that is called like a statement
        boolean isField = tokens.peek(2).equals("=");
        if (word.equals(";")) {
            tokens.next();
        } else if (word.equals("message") && !isField) {
            tokens.next();
            message.addNestedType(message(depth + 1));
        } else if (word.equals("enum") && !isField) {
            tokens.next();
            message.addEnumType(enumeration());
        } else if ((word.equals("option") || word.equals("reserved") || word.equals("extensions")) && !isField) {
            tokens.skipTo(";");
        } else if (word.equals("extend") && !isField) {
            tokens.skipTo("{");
            tokens.skipTo("}");
        } else if (word.equals("oneof") && !isField) {
            tokens.next();
            oneof(message, depth);
        } else {
            Label label = LABELS.get(word);
            if (label != null && !isField) {
                tokens.next();
            } else {
                label = null;
            }
            boolean isOptional = label == Label.LABEL_OPTIONAL && isProto3;
            message.addField(field(message, label == null ? Label.LABEL_OPTIONAL : label, depth).setProto3Optional(isOptional));
        }
    }

    private void oneof(DescriptorProto.Builder message, int depth) {
        int index = message.getOneofDeclCount();
        message.addOneofDecl(OneofDescriptorProto.newBuilder().setName(tokens.next()));
        tokens.pass("{");
        while (!tokens.passes("}")) {
            if (tokens.peek().equals("option") && !tokens.peek(2).equals("=") || tokens.peek().equals(";")) {
                tokens.skipTo(";");
            } else {
                message.addField(field(message, Label.LABEL_OPTIONAL, depth).setOneofIndex(index));
            }
        }
    }

    private FieldDescriptorProto.Builder field(DescriptorProto.Builder message, Label label, int depth) {
        FieldDescriptorProto.Builder field = FieldDescriptorProto.newBuilder().setLabel(label);
        String type = tokens.next();
        if (type.equals("map") && tokens.peek().equals("<")) {
            return map(message, field);
        }
        if (type.equals("group")) {
            return group(message, field, depth);
        }
        typed(field, type).setName(tokens.next());
        numbered(field);
        tokens.pass(";");
        return field;
    }

    private FieldDescriptorProto.Builder group(DescriptorProto.Builder message, FieldDescriptorProto.Builder field, int depth) {
        String name = tokens.next();
        field.setName(name.toLowerCase(Locale.ROOT)).setType(Type.TYPE_GROUP).setTypeName(name);
        numbered(field);
        DescriptorProto.Builder nested = DescriptorProto.newBuilder().setName(name);
        body(nested, depth + 1);
        message.addNestedType(nested);
        return field;
    }

    private FieldDescriptorProto.Builder map(DescriptorProto.Builder message, FieldDescriptorProto.Builder field) {
        tokens.pass("<");
        FieldDescriptorProto.Builder key = typed(entry("key", 1), tokens.next());
        tokens.pass(",");
        FieldDescriptorProto.Builder value = typed(entry("value", 2), tokens.next());
        tokens.pass(">");
        String name = tokens.next();
        String nested = entryName(name);
        message.addNestedType(DescriptorProto.newBuilder()
                .setName(nested)
                .addField(key)
                .addField(value)
                .setOptions(MessageOptions.newBuilder().setMapEntry(true)));
        field.setName(name).setLabel(Label.LABEL_REPEATED).setType(Type.TYPE_MESSAGE).setTypeName(nested);
        numbered(field);
        tokens.pass(";");
        return field;
    }

    private static FieldDescriptorProto.Builder entry(String name, int number) {
        return FieldDescriptorProto.newBuilder().setName(name).setNumber(number).setLabel(Label.LABEL_OPTIONAL);
    }

    /** The name that Protobuf's own parser gives the entry of a map: {@code by_user} has a {@code ByUserEntry}. */
    private static String entryName(String field) {
        StringBuilder name = new StringBuilder();
        boolean isFirst = true;
        for (char each : field.toCharArray()) {
            if (each == '_') {
                isFirst = true;
            } else {
                name.append(isFirst ? Character.toUpperCase(each) : each);
                isFirst = false;
            }
        }
        return name.append("Entry").toString();
    }

    private static FieldDescriptorProto.Builder typed(FieldDescriptorProto.Builder field, String type) {
        Type plain = TYPES.get(type);
        return plain == null ? field.setTypeName(type) : field.setType(plain);
    }

    private void numbered(FieldDescriptorProto.Builder field) {
        tokens.pass("=");
        field.setNumber(tokens.number());
        if (tokens.passes("[")) {
            tokens.skipTo("]");
        }
    }

    private EnumDescriptorProto enumeration() {
        EnumDescriptorProto.Builder made = EnumDescriptorProto.newBuilder().setName(tokens.next());
        tokens.pass("{");
        while (!tokens.passes("}")) {
            String word = tokens.peek();
            boolean isValue = tokens.peek(1).equals("=");
            if (isValue) {
                EnumValueDescriptorProto.Builder value = EnumValueDescriptorProto.newBuilder().setName(tokens.next());
                tokens.pass("=");
                made.addValue(value.setNumber(tokens.number()));
                tokens.skipTo(";");
            } else if (word.equals("option")) {
                option(made);
            } else {
                tokens.skipTo(";");
            }
        }
        return made.build();
    }

    /** {@code allow_alias} is the one option without which the descriptor is refused. */
    private void option(EnumDescriptorProto.Builder made) {
        if (tokens.peek(1).equals("allow_alias") && tokens.peek(3).equals("true")) {
            made.getOptionsBuilder().setAllowAlias(true);
        }
        tokens.skipTo(";");
    }
}
