package io.keystone.registry;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.io.InputStream;
import java.net.URI;
import java.net.URLEncoder;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.GeneralSecurityException;
import java.security.KeyStore;
import java.security.cert.Certificate;
import java.security.cert.CertificateFactory;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Base64;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import javax.net.ssl.SSLContext;
import javax.net.ssl.TrustManagerFactory;

/**
 * Asks a registry over HTTP, once for each schema in a process: ids never change their meaning.
 *
 * <p>That a schema is unknown is believed only where the registry says so itself, by its error code: a 404 of a proxy or of a wrong
 * address must not turn a stream into dead letters. Whatever else goes wrong is waited for.
 */
final class RegistryClient implements SchemaRegistry {

    /** Subject, version and schema not found. */
    private static final Set<Integer> NOT_THERE = Set.of(40401, 40402, 40403);

    private static final int OK = 200;
    private static final int NOT_FOUND = 404;

    private static final Map<RegistryAccess, RegistryClient> CLIENTS = new ConcurrentHashMap<>();

    private static final ObjectMapper JSON = new ObjectMapper();

    /** How long to wait for a registry before the job fails and starts again from its checkpoint: less than a checkpoint may take. */
    record Patience(Duration firstPause, Duration longestPause, Duration limit) {
        static final Patience USUAL = new Patience(Duration.ofMillis(100), Duration.ofSeconds(10), Duration.ofSeconds(240));
    }

    private final RegistryAccess access;
    private final Patience patience;
    private final Map<String, RegisteredSchema> known = new ConcurrentHashMap<>();

    private HttpClient http;

    RegistryClient(RegistryAccess access, Patience patience) {
        this.access = access;
        this.patience = patience;
    }

    /** Returns the process's client of that registry. */
    static RegistryClient of(RegistryAccess access) {
        return CLIENTS.computeIfAbsent(access, each -> new RegistryClient(each, Patience.USUAL));
    }

    @Override
    public RegisteredSchema byId(int id) throws UnusableSchema {
        if (id < 0) {
            throw unknown("the registry has no id below 0");
        }
        return schema("/schemas/ids/" + id, "the registry has no schema " + id);
    }

    @Override
    public RegisteredSchema bySubject(String subject, int version) throws UnusableSchema {
        String path = "/subjects/" + URLEncoder.encode(subject, StandardCharsets.UTF_8).replace("+", "%20") + "/versions/" + version;
        return schema(path + "?deleted=true", "the registry has no version of a schema that this one refers to");
    }

    private RegisteredSchema schema(String path, String unknown) throws UnusableSchema {
        RegisteredSchema found = known.get(path);
        if (found == null) {
            found = waitFor(path, unknown);
            known.put(path, found);
        }
        return found;
    }

    private RegisteredSchema waitFor(String path, String unknown) throws UnusableSchema {
        long deadline = System.nanoTime() + patience.limit().toNanos();
        long pause = patience.firstPause().toMillis();
        while (true) {
            String failure;
            try {
                HttpResponse<String> answer = http().send(request(path), HttpResponse.BodyHandlers.ofString());
                JsonNode body = JSON.readTree(answer.body());
                if (answer.statusCode() == OK && body.path("schema").isTextual()) {
                    return read(body);
                }
                if (answer.statusCode() == NOT_FOUND && NOT_THERE.contains(body.path("error_code").asInt())) {
                    throw unknown(unknown);
                }
                failure = "HTTP status " + answer.statusCode();
            } catch (JsonProcessingException noJson) {
                failure = "an answer that is no JSON";
            } catch (IOException | GeneralSecurityException error) {
                failure = error.toString();
            } catch (InterruptedException cancelled) {
                Thread.currentThread().interrupt();
                throw new IllegalStateException("cancelled while it waited for the schema registry");
            }
            if (System.nanoTime() > deadline) {
                throw new IllegalStateException("the schema registry at " + access.url() + " does not say what " + path + " is: "
                        + failure + "; no event is lost: the job goes on from its checkpoint when it answers");
            }
            pause = pauseFor(pause);
        }
    }

    private long pauseFor(long millis) {
        try {
            Thread.sleep(millis);
        } catch (InterruptedException cancelled) {
            Thread.currentThread().interrupt();
            throw new IllegalStateException("cancelled while it waited for the schema registry");
        }
        return Math.min(2 * millis, patience.longestPause().toMillis());
    }

    private static RegisteredSchema read(JsonNode body) {
        List<RegisteredSchema.Reference> references = new ArrayList<>();
        for (JsonNode each : body.path("references")) {
            references.add(new RegisteredSchema.Reference(
                    each.path("name").asText(), each.path("subject").asText(), each.path("version").asInt()));
        }
        return new RegisteredSchema(body.path("schemaType").asText("AVRO"), body.path("schema").asText(), references);
    }

    private static UnusableSchema unknown(String text) {
        return new UnusableSchema(UnusableSchema.UNKNOWN, text);
    }

    private HttpRequest request(String path) throws IOException {
        HttpRequest.Builder request = HttpRequest.newBuilder(URI.create(access.url().replaceAll("/+$", "") + path))
                .timeout(Duration.ofSeconds(10))
                .header("Accept", "application/vnd.schemaregistry.v1+json, application/json");
        if (access.username() != null) {
            // read each time, so that it can be changed while the job runs
            String pair = access.username() + ":" + secret(access.password());
            request.header("Authorization", "Basic " + Base64.getEncoder().encodeToString(pair.getBytes(StandardCharsets.UTF_8)));
        }
        return request.build();
    }

    private static String secret(String reference) throws IOException {
        String place = reference.substring(reference.indexOf(':') + 1);
        if (reference.startsWith("file:")) {
            // editors add the line's end
            return Files.readString(Path.of(place)).stripTrailing();
        }
        String found = System.getenv(place);
        if (found == null || found.isEmpty()) {
            throw new IOException("the variable " + place + " is not set on this machine");
        }
        return found;
    }

    private synchronized HttpClient http() throws IOException, GeneralSecurityException {
        if (http == null) {
            HttpClient.Builder builder = HttpClient.newBuilder().connectTimeout(Duration.ofSeconds(5));
            http = access.caFile() == null ? builder.build() : builder.sslContext(trusting(access.caFile())).build();
        }
        return http;
    }

    private static SSLContext trusting(String caFile) throws IOException, GeneralSecurityException {
        KeyStore trusted = KeyStore.getInstance(KeyStore.getDefaultType());
        trusted.load(null, null);
        try (InputStream pem = Files.newInputStream(Path.of(caFile))) {
            for (Certificate each : CertificateFactory.getInstance("X.509").generateCertificates(pem)) {
                trusted.setCertificateEntry("authority-" + trusted.size(), each);
            }
        }
        TrustManagerFactory managers = TrustManagerFactory.getInstance(TrustManagerFactory.getDefaultAlgorithm());
        managers.init(trusted);
        SSLContext context = SSLContext.getInstance("TLS");
        context.init(null, managers.getTrustManagers(), null);
        return context;
    }
}
