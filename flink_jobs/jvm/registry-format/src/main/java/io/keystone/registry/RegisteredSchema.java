package io.keystone.registry;

import java.util.List;

/**
 * A schema as the registry holds it.
 *
 * @param type AVRO, PROTOBUF or JSON.
 * @param references other schemas that it names.
 */
record RegisteredSchema(String type, String text, List<Reference> references) {

    /** @param name as the schema calls it: a full type name in Avro, an imported file in Protobuf. */
    record Reference(String name, String subject, int version) {}
}
