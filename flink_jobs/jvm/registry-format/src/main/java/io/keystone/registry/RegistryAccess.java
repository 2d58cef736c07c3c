package io.keystone.registry;

import java.io.Serializable;

/**
 * Where the schema registry is. It goes into the job, which anybody may read: it holds no secret.
 *
 * @param url base URL, under which {@code /schemas/ids/1} is.
 * @param username null where the registry asks for none.
 * @param password where the password is found: {@code env:NAME} or {@code file:/PATH} on the machine that runs the job.
 * @param caFile PEM file of the authorities that may have signed its certificate; null for the public ones.
 */
record RegistryAccess(String url, String username, String password, String caFile) implements Serializable {

    private static final long serialVersionUID = 1L;
}
