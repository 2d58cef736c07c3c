package io.keystone.registry;

/** A schema registry with Confluent's API. Waits for one that does not answer; what it says for good is an answer. */
interface SchemaRegistry {

    RegisteredSchema byId(int id) throws UnusableSchema;

    RegisteredSchema bySubject(String subject, int version) throws UnusableSchema;
}
