package io.keystone.search;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Path;
import org.codelibs.opensearch.runner.OpenSearchRunner;
import org.opensearch.common.settings.Settings;

/**
 * One OpenSearch node that runs until its process is asked to end: {@code SearchServer FOLDER OPENSEARCH_YML}.
 *
 * <p>OpenSearch is no longer published as something that a build tool can fetch and start; the runner starts a node, but its
 * own main class returns at once, and with it the process ends.
 */
public final class SearchServer {
    private SearchServer() {}

    /** Starts the node with its data, logs and configuration below FOLDER, and never returns. */
    public static void main(String[] arguments) throws InterruptedException {
        Path settings = Path.of(arguments[1]);
        OpenSearchRunner runner = new OpenSearchRunner();
        runner.onBuild((number, node) -> load(settings, node));
        Runtime.getRuntime().addShutdownHook(new Thread(() -> close(runner)));
        runner.build(OpenSearchRunner.newConfigs().basePath(arguments[0]).numOfNode(1).useLogger());
        Thread.currentThread().join();
    }

    private static void load(Path settings, Settings.Builder node) {
        try {
            node.loadFromPath(settings);
        } catch (IOException error) {
            throw new UncheckedIOException(error);
        }
    }

    private static void close(OpenSearchRunner runner) {
        try {
            runner.close();
        } catch (IOException error) {
            throw new UncheckedIOException(error);
        }
    }
}
