package io.keystone.format;

import java.io.Serializable;
import java.util.Set;

/**
 * The fields whose value becomes null where it does not fit the declared type; elsewhere such a value makes the event a dead
 * letter.
 *
 * @param paths dotted paths of fields, or {@code *} for all.
 */
public record Leniency(Set<String> paths) implements Serializable {

    public static final Leniency NONE = new Leniency(Set.of());

    private static final String ALL = "*";

    public boolean covers(String path) {
        return paths.contains(path) || paths.contains(ALL);
    }
}
