package io.keystone.kafka;

import java.io.Serializable;
import java.util.List;
import java.util.Properties;
import java.util.concurrent.TimeUnit;
import org.apache.flink.kafka.shaded.org.apache.kafka.clients.admin.AdminClient;

/** Tells whether a cluster answers. */
interface ClusterProbe extends Serializable {

    /** How long a cluster may take to answer. */
    int TIMEOUT_S = 10;

    /** What the names of the properties begin with that a connection takes. */
    List<String> CONNECTING = List.of("bootstrap.servers", "security.", "sasl.", "ssl.", "config.providers");

    /** Returns if the cluster answers; throws whatever keeps it from that. Blocks for {@link #TIMEOUT_S} at most. */
    void ask() throws Exception;

    /** Returns what asks the cluster that clients of these properties reach. */
    static ClusterProbe of(Properties properties) {
        return () -> {
            Properties mine = new Properties();
            properties.stringPropertyNames().stream()
                    .filter(name -> CONNECTING.stream().anyMatch(name::startsWith))
                    .forEach(name -> mine.setProperty(name, properties.getProperty(name)));
            try (AdminClient client = AdminClient.create(mine)) {
                client.describeCluster().nodes().get(TIMEOUT_S, TimeUnit.SECONDS);
            }
        };
    }
}
