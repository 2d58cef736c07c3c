package io.keystone.registry;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import io.keystone.format.Leniency;
import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Base64;
import java.util.Deque;
import java.util.List;
import org.apache.flink.table.api.DataTypes;
import org.apache.flink.table.data.GenericRowData;
import org.apache.flink.table.types.logical.RowType;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** A registry that is away is waited for; only what it says itself makes an event dead. The server is a stand-in with its API. */
class RegistryClientTest {

    private static final String LONG = "{\\\"type\\\":\\\"record\\\",\\\"name\\\":\\\"E\\\",\\\"fields\\\":[{\\\"name\\\":\\\"n\\\",\\\"type\\\":\\\"long\\\"}]}";
    private static final String FOUND = "{\"schema\":\"" + LONG + "\"}";
    private static final String UNKNOWN = "{\"error_code\":40403,\"message\":\"Schema not found\"}";
    private static final RowType COLUMNS =
            (RowType) DataTypes.ROW(DataTypes.FIELD("n", DataTypes.BIGINT())).getLogicalType();
    private static final byte[] FIVE = {0, 0, 0, 0, 1, 10};

    private static final RegistryClient.Patience SHORT =
            new RegistryClient.Patience(Duration.ofMillis(1), Duration.ofMillis(5), Duration.ofSeconds(30));
    private static final RegistryClient.Patience NONE =
            new RegistryClient.Patience(Duration.ofMillis(1), Duration.ofMillis(1), Duration.ZERO);

    private record Answer(int status, String body) {}

    private final Deque<Answer> answers = new ArrayDeque<>();
    private final List<String> asked = new ArrayList<>();
    private final List<String> authorised = new ArrayList<>();
    private HttpServer server;

    @BeforeEach
    void start() throws IOException {
        server = HttpServer.create(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0), 0);
        server.createContext("/", this::answer);
        server.start();
    }

    @AfterEach
    void stop() {
        server.stop(0);
    }

    private synchronized void answer(HttpExchange exchange) throws IOException {
        asked.add(exchange.getRequestURI().toString());
        authorised.add(exchange.getRequestHeaders().getFirst("Authorization"));
        Answer next = answers.size() > 1 ? answers.remove() : answers.peek();
        byte[] body = next.body().getBytes(StandardCharsets.UTF_8);
        exchange.sendResponseHeaders(next.status(), body.length);
        exchange.getResponseBody().write(body);
        exchange.close();
    }

    private RegistryAccess access(String username, String password) {
        return new RegistryAccess("http://127.0.0.1:" + server.getAddress().getPort() + "/base/", username, password, null);
    }

    private FramedDecoder decoder(RegistryClient.Patience patience) {
        RegistryClient client = new RegistryClient(access(null, null), patience);
        return new FramedDecoder(client, new AvroCompiler(COLUMNS, Leniency.NONE), true, AvroCompiler.MALFORMED);
    }

    private static Object first(FramedDecoder decoder, byte[] payload) {
        GenericRowData row = new GenericRowData(1);
        String reason = decoder.decode(payload, row);
        return reason == null ? row.getField(0) : reason;
    }

    @Test
    void aSchemaIsAskedForOnce() {
        answers.add(new Answer(200, FOUND));
        FramedDecoder decoder = decoder(SHORT);
        assertEquals(5L, first(decoder, FIVE));
        assertEquals(-1L, first(decoder, new byte[] {0, 0, 0, 0, 1, 1}));
        assertEquals(List.of("/base/schemas/ids/1"), asked);
    }

    @Test
    void anEventWaitsForARegistryThatIsAwayOrRefuses() {
        for (int status : new int[] {500, 503, 429, 401, 403}) {
            answers.add(new Answer(status, "{}"));
        }
        answers.add(new Answer(404, "<html>no such page</html>"));
        answers.add(new Answer(404, "{\"error\":\"of a proxy\"}"));
        answers.add(new Answer(200, "{}"));
        answers.add(new Answer(200, FOUND));
        assertEquals(5L, first(decoder(SHORT), FIVE));
        assertEquals(9, asked.size());
    }

    @Test
    void aRegistryThatStaysAwayFailsTheJobAndKillsNoEvent() {
        answers.add(new Answer(503, "{}"));
        IllegalStateException failed = assertThrows(IllegalStateException.class, () -> first(decoder(NONE), FIVE));
        assertTrue(failed.getMessage().contains("HTTP status 503"), failed.getMessage());
        server.stop(0);
        assertThrows(IllegalStateException.class, () -> first(decoder(NONE), FIVE));
    }

    @Test
    void aWaitEndsWhenTheJobIsCancelled() {
        answers.add(new Answer(503, "{}"));
        Thread.currentThread().interrupt();
        assertThrows(IllegalStateException.class, () -> first(decoder(SHORT), FIVE));
        assertTrue(Thread.interrupted());
    }

    @Test
    void anIdThatTheRegistryDoesNotKnowIsADeadLetterAndAskedOnceInAWhile() {
        answers.add(new Answer(404, UNKNOWN));
        FramedDecoder decoder = decoder(NONE);
        assertEquals("unknown_schema: the registry has no schema 1", first(decoder, FIVE));
        assertEquals("unknown_schema: the registry has no schema 1", first(decoder, FIVE));
        assertEquals("unknown_schema: the registry has no id below 0", first(decoder, new byte[] {0, -1, 0, 0, 1, 10}));
        assertEquals(1, asked.size());
    }

    @Test
    void aSchemaOfAnotherKindIsADeadLetter() {
        answers.add(new Answer(200, "{\"schema\":\"{}\",\"schemaType\":\"JSON\"}"));
        assertEquals(
                "unusable_schema: its type is JSON, and the stream's format is avro", first(decoder(SHORT), FIVE));
    }

    @Test
    void thePasswordIsReadFromItsPlaceAtEachRequest() throws Exception {
        answers.add(new Answer(200, FOUND));
        Path file = Files.createTempFile("registry", ".secret");
        Files.writeString(file, "one\n");
        RegistryClient client = new RegistryClient(access("router", "file:" + file), SHORT);
        client.byId(1);
        Files.writeString(file, "two\n");
        client.byId(2);
        Files.delete(file);
        assertEquals(List.of(basic("router:one"), basic("router:two")), authorised);
    }

    private static String basic(String pair) {
        return "Basic " + Base64.getEncoder().encodeToString(pair.getBytes(StandardCharsets.UTF_8));
    }

    @Test
    void whatASchemaRefersToIsAskedForWithDeletedVersions() {
        String reference = "\"references\":[{\"name\":\"test.Inner\",\"subject\":\"a b/c\",\"version\":3}]";
        answers.add(new Answer(200, "{\"schema\":\"" + LONG.replace("\\\"long\\\"", "\\\"test.Inner\\\"") + "\"," + reference + "}"));
        answers.add(new Answer(
                200, "{\"schema\":\"{\\\"type\\\":\\\"enum\\\",\\\"name\\\":\\\"test.Inner\\\",\\\"symbols\\\":[\\\"A\\\"]}\"}"));
        assertEquals("wrong_type: n: expected bigint, got string", first(decoder(SHORT), new byte[] {0, 0, 0, 0, 1, 0}));
        assertEquals(List.of("/base/schemas/ids/1", "/base/subjects/a%20b%2Fc/versions/3?deleted=true"), asked);
    }
}
