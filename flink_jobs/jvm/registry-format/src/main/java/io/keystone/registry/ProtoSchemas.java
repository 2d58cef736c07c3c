package io.keystone.registry;

import com.google.protobuf.AnyProto;
import com.google.protobuf.DescriptorProtos;
import com.google.protobuf.DescriptorProtos.FileDescriptorProto;
import com.google.protobuf.Descriptors.Descriptor;
import com.google.protobuf.Descriptors.DescriptorValidationException;
import com.google.protobuf.Descriptors.FileDescriptor;
import com.google.protobuf.DurationProto;
import com.google.protobuf.EmptyProto;
import com.google.protobuf.FieldMaskProto;
import com.google.protobuf.InvalidProtocolBufferException;
import com.google.protobuf.StructProto;
import com.google.protobuf.TimestampProto;
import com.google.protobuf.WrappersProto;
import java.util.ArrayList;
import java.util.Base64;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Collectors;
import java.util.stream.Stream;

/** From a registered schema to the message that an event is. */
final class ProtoSchemas {

    private static final int MAX_FILES = 100;

    private static final Map<String, FileDescriptor> WELL_KNOWN = Stream.of(
                    TimestampProto.getDescriptor(),
                    DurationProto.getDescriptor(),
                    WrappersProto.getDescriptor(),
                    StructProto.getDescriptor(),
                    AnyProto.getDescriptor(),
                    EmptyProto.getDescriptor(),
                    FieldMaskProto.getDescriptor(),
                    DescriptorProtos.getDescriptor())
            .collect(Collectors.toUnmodifiableMap(FileDescriptor::getFullName, file -> file));

    private final SchemaRegistry registry;
    private final Map<String, FileDescriptor> files = new HashMap<>(WELL_KNOWN);

    private ProtoSchemas(SchemaRegistry registry) {
        this.registry = registry;
    }

    /** @param way number of the message in the file, then of one within it, and so on; entries of maps don't count. */
    static Descriptor message(RegisteredSchema registered, List<Integer> way, SchemaRegistry registry) throws UnusableSchema {
        if (!registered.type().equals("PROTOBUF")) {
            throw unusable("its type is " + registered.type() + ", and the stream's format is protobuf");
        }
        List<Descriptor> messages = new ProtoSchemas(registry).file("", registered).getMessageTypes();
        Descriptor found = null;
        for (int index : way) {
            if (index < 0 || index >= messages.size()) {
                throw unusable("it has no message of the index that the event names");
            }
            found = messages.get(index);
            messages = found.getNestedTypes().stream().filter(each -> !each.getOptions().getMapEntry()).toList();
        }
        return found;
    }

    private FileDescriptor file(String name, RegisteredSchema registered) throws UnusableSchema {
        if (files.size() > MAX_FILES) {
            throw unusable("it imports more than " + MAX_FILES + " files");
        }
        for (RegisteredSchema.Reference each : registered.references()) {
            if (!files.containsKey(each.name())) {
                FileDescriptor imported = file(each.name(), registry.bySubject(each.subject(), each.version()));
                files.put(each.name(), imported);
            }
        }
        try {
            FileDescriptorProto parsed = parsed(name, registered.text());
            // what is not there is imported for its options, such as confluent/meta.proto; else a type is missing, and that is told
            List<String> there = parsed.getDependencyList().stream().filter(files::containsKey).toList();
            List<FileDescriptor> imports = new ArrayList<>(there.stream().map(files::get).toList());
            FileDescriptorProto.Builder linked = parsed.toBuilder().clearDependency().addAllDependency(there).clearPublicDependency();
            for (int index : parsed.getPublicDependencyList()) {
                int position = there.indexOf(parsed.getDependency(index));
                if (position >= 0) {
                    linked.addPublicDependency(position);
                }
            }
            return FileDescriptor.buildFrom(linked.build(), imports.toArray(FileDescriptor[]::new));
        } catch (DescriptorValidationException | IllegalArgumentException | StackOverflowError error) {
            throw unusable("it can't be parsed as a Protobuf schema");
        }
    }

    /** Registries give the text; some have a stored descriptor in base64 instead. */
    private static FileDescriptorProto parsed(String name, String text) {
        if (text.matches("[A-Za-z0-9+/=\\s]+")) {
            try {
                return FileDescriptorProto.parseFrom(Base64.getMimeDecoder().decode(text)).toBuilder().setName(name).build();
            } catch (InvalidProtocolBufferException notOne) {
                throw new IllegalArgumentException(notOne);
            }
        }
        return ProtoParser.parse(name, text);
    }

    private static UnusableSchema unusable(String text) {
        return new UnusableSchema(UnusableSchema.UNUSABLE, text);
    }
}
