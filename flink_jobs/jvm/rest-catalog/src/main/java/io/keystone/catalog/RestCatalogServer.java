package io.keystone.catalog;

import java.io.Reader;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import java.util.Properties;
import java.util.stream.Collectors;
import org.apache.iceberg.catalog.Catalog;
import org.apache.iceberg.jdbc.JdbcCatalog;
import org.apache.iceberg.rest.RESTCatalogAdapter;
import org.apache.iceberg.rest.RESTCatalogServlet;
import org.eclipse.jetty.ee10.servlet.ServletContextHandler;
import org.eclipse.jetty.ee10.servlet.ServletHolder;
import org.eclipse.jetty.server.Server;

/**
 * Iceberg's reference REST catalog over a database, until its process is asked to end: {@code RestCatalogServer PORT FILE}.
 *
 * <p>Iceberg's own main class for it listens on every address of the machine; this one on loopback only.
 */
public final class RestCatalogServer {
    private RestCatalogServer() {}

    /** Serves the catalog that the properties FILE describes (JdbcCatalog's, and its FileIO's), and never returns. */
    public static void main(String[] arguments) throws Exception {
        JdbcCatalog catalog = new JdbcCatalog();
        // its FileIO is Hadoop's where the properties name none
        catalog.setConf(new org.apache.hadoop.conf.Configuration());
        catalog.initialize("keystone", read(Path.of(arguments[1])));
        Server server = new Server(new InetSocketAddress(InetAddress.getLoopbackAddress(), Integer.parseInt(arguments[0])));
        server.setHandler(handler(catalog));
        server.start();
        server.join();
    }

    private static ServletContextHandler handler(Catalog catalog) {
        ServletContextHandler handler = new ServletContextHandler(ServletContextHandler.NO_SESSIONS);
        handler.addServlet(new ServletHolder(new RESTCatalogServlet(new RESTCatalogAdapter(catalog))), "/*");
        return handler;
    }

    private static Map<String, String> read(Path file) throws Exception {
        Properties properties = new Properties();
        try (Reader reader = Files.newBufferedReader(file)) {
            properties.load(reader);
        }
        return properties.stringPropertyNames().stream().collect(Collectors.toMap(name -> name, properties::getProperty));
    }
}
