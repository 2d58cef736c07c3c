// java -cp "kafka-clients.jar:…" Produce.java BOOTSTRAP_SERVERS TOPIC STREAM < events.ndjson
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.net.InetAddress;
import java.nio.charset.StandardCharsets;
import java.time.Instant;
import java.util.Map;
import java.util.UUID;
import java.util.concurrent.atomic.AtomicLong;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.header.Headers;
import org.apache.kafka.common.serialization.ByteArraySerializer;

/** Sends each line of stdin as an event, with the headers that Keystone reads. */
public final class Produce {
    public static void main(String[] arguments) throws Exception {
        String servers = arguments[0], topic = arguments[1], stream = arguments[2];
        String source = InetAddress.getLocalHost().getHostName() + "/java-recipe";
        AtomicLong acknowledged = new AtomicLong(), lost = new AtomicLong();
        Map<String, Object> settings = Map.of(
            "bootstrap.servers", servers,
            "acks", "all",
            "enable.idempotence", true,
            "compression.type", "lz4",
            "linger.ms", 20,
            "max.request.size", 10 * 1024 * 1024 + 64 * 1024);
        try (var producer = new KafkaProducer<>(settings, new ByteArraySerializer(), new ByteArraySerializer());
                var lines = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8))) {
            for (String line; (line = lines.readLine()) != null; ) {
                Instant now = Instant.now();
                var event = new ProducerRecord<byte[], byte[]>(
                    topic, null, now.toEpochMilli(), null, line.getBytes(StandardCharsets.UTF_8));
                put(event.headers(), "ce_specversion", "1.0");
                put(event.headers(), "ce_type", stream);
                put(event.headers(), "ce_time", now.toString());
                put(event.headers(), "ce_id", UUID.randomUUID().toString());
                put(event.headers(), "ce_source", source);
                producer.send(event, (place, error) -> (error == null ? acknowledged : lost).incrementAndGet());
            }
        }
        System.out.println("acknowledged " + acknowledged + ", lost " + lost);
        System.exit(lost.get() == 0 ? 0 : 1);
    }

    private static void put(Headers headers, String name, String value) {
        headers.add(name, value.getBytes(StandardCharsets.UTF_8));
    }
}
