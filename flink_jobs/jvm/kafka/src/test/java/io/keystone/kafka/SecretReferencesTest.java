package io.keystone.kafka;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import org.apache.flink.kafka.shaded.org.apache.kafka.clients.admin.AdminClientConfig;
import org.apache.flink.kafka.shaded.org.apache.kafka.common.config.ConfigException;
import org.apache.flink.kafka.shaded.org.apache.kafka.common.security.JaasContext;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class SecretReferencesTest {
    private static final String PROVIDER = SecretReferences.class.getName();

    private static AdminClientConfig client(String key, String value) {
        return new AdminClientConfig(Map.of(
                "bootstrap.servers", "localhost:1",
                "config.providers", "secret,jaas",
                "config.providers.secret.class", PROVIDER,
                "config.providers.jaas.class", PROVIDER,
                "config.providers.jaas.param.quoted", "true",
                key, value));
    }

    @Test
    void aClientFindsTheSecretOfAFile(@TempDir Path folder) throws Exception {
        Path file = Files.writeString(folder.resolve("pass:word"), "p\"a\\ss\n");
        assertEquals("p\"a\\ss", client("ssl.key.password", "${secret:file:" + file + "}").getPassword("ssl.key.password").value());
    }

    @Test
    void aQuotedOneIsReadBackFromAJaasConfiguration(@TempDir Path folder) throws Exception {
        Path file = Files.writeString(folder.resolve("secret"), "p\"a\\s;s = 'x'\n");
        String login = "org.example.Login required username=\"u\" password=\"${jaas:file:" + file + "}\";";
        var entries = JaasContext.loadClientContext(Map.of("sasl.jaas.config", client("sasl.jaas.config", login).getPassword("sasl.jaas.config")))
                .configurationEntries();
        assertEquals("p\"a\\s;s = 'x'", entries.get(0).getOptions().get("password"));
    }

    @Test
    void aClientFindsTheSecretOfAVariable() {
        assertEquals(System.getenv("PATH"), client("ssl.key.password", "${secret:env:PATH}").getPassword("ssl.key.password").value());
    }

    @Test
    void whatIsNotThereSaysWhereItWasLookedFor() {
        Exception variable = assertThrows(ConfigException.class, () -> client("ssl.key.password", "${secret:env:NO_SUCH_VARIABLE}"));
        assertTrue(variable.getMessage().contains("NO_SUCH_VARIABLE"), variable.getMessage());
        Exception file = assertThrows(ConfigException.class, () -> client("ssl.key.password", "${secret:file:/no/such}"));
        assertTrue(file.getMessage().contains("file:/no/such"), file.getMessage());
    }
}
