package io.keystone.auth;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.Map;
import org.apache.iceberg.rest.RESTClient;
import org.apache.iceberg.rest.auth.OAuth2Manager;
import org.apache.iceberg.rest.auth.OAuth2Util;

/**
 * Iceberg's own OAuth2, with secrets that the catalog's properties only refer to: {@code keystone.secret.token} and
 * {@code keystone.secret.credential} are {@code variable:NAME} or {@code file:/PATH}.
 *
 * <p>The catalog's properties go into each table's FileIO and with it into the job. What is read here goes nowhere: it is looked up
 * by each process that opens the catalog, on its own machine.
 */
public final class ReferencedAuth extends OAuth2Manager {
    private static final String PREFIX = "keystone.secret.";

    /** Called by Iceberg, which names the catalog. */
    public ReferencedAuth(String name) {
        super(name);
    }

    @Override
    public OAuth2Util.AuthSession initSession(RESTClient client, Map<String, String> properties) {
        return super.initSession(client, withSecrets(properties));
    }

    @Override
    public OAuth2Util.AuthSession catalogSession(RESTClient client, Map<String, String> properties) {
        return super.catalogSession(client, withSecrets(properties));
    }

    private static Map<String, String> withSecrets(Map<String, String> properties) {
        Map<String, String> all = new HashMap<>(properties);
        properties.forEach((key, value) -> {
            if (key.startsWith(PREFIX)) {
                all.put(key.substring(PREFIX.length()), read(value));
            }
        });
        return all;
    }

    private static String read(String reference) {
        int colon = reference.indexOf(':');
        String place = reference.substring(colon + 1);
        if (reference.startsWith("file:")) {
            try {
                // editors add the line's end
                return Files.readString(Path.of(place)).stripTrailing();
            } catch (IOException error) {
                throw new UncheckedIOException("the secret " + reference + " can't be read", error);
            }
        }
        String found = System.getenv(place);
        if (found == null || found.isEmpty()) {
            throw new IllegalStateException("the variable " + place + " is not set in the process that opens the catalog");
        }
        return found;
    }
}
