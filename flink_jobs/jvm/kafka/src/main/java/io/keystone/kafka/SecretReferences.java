package io.keystone.kafka;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.Map;
import java.util.Set;
import org.apache.flink.kafka.shaded.org.apache.kafka.common.config.ConfigData;
import org.apache.flink.kafka.shaded.org.apache.kafka.common.config.ConfigException;
import org.apache.flink.kafka.shaded.org.apache.kafka.common.config.provider.ConfigProvider;

/**
 * Secrets of a Kafka client that its properties only refer to (KIP-297): {@code ${secret:env:NAME}} or {@code ${secret:file:/PATH}},
 * where {@code secret} is the name that {@code config.providers} gives this class.
 *
 * <p>The properties are in the job, which anybody may read. What is read here goes nowhere: it is looked up by each client that is
 * made, on its own machine. With the parameter {@code quoted} it is escaped to stand between double quotes in a JAAS configuration.
 */
public final class SecretReferences implements ConfigProvider {
    private boolean isQuoted;

    @Override
    public void configure(Map<String, ?> parameters) {
        isQuoted = Boolean.parseBoolean(String.valueOf(parameters.get("quoted")));
    }

    @Override
    public ConfigData get(String kind, Set<String> places) {
        Map<String, String> found = new HashMap<>();
        for (String place : places) {
            String secret = "file".equals(kind) ? contents(place) : variable(place);
            found.put(place, isQuoted ? secret.replace("\\", "\\\\").replace("\"", "\\\"") : secret);
        }
        return new ConfigData(found);
    }

    @Override
    public ConfigData get(String kind) {
        throw new ConfigException("a secret is found by env:NAME or file:/PATH, not by " + kind);
    }

    @Override
    public void close() {
        // holds nothing
    }

    private static String contents(String path) {
        try {
            // editors add the line's end
            return Files.readString(Path.of(path)).stripTrailing();
        } catch (IOException error) {
            throw new ConfigException("the secret file:" + path + " can't be read on this machine: " + error);
        }
    }

    private static String variable(String name) {
        String found = System.getenv(name);
        if (found == null || found.isEmpty()) {
            throw new ConfigException("the variable " + name + " is not set on this machine");
        }
        return found;
    }
}
