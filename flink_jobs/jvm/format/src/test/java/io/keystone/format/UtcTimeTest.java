package io.keystone.format;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;

import java.nio.charset.StandardCharsets;
import java.time.DateTimeException;
import java.time.Instant;
import java.time.LocalDateTime;
import java.time.OffsetDateTime;
import java.time.ZoneOffset;
import java.time.temporal.ChronoUnit;
import java.util.Random;
import org.apache.flink.table.data.TimestampData;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class UtcTimeTest {

    private static final long YEAR_1 = LocalDateTime.of(1, 1, 1, 0, 0).toEpochSecond(ZoneOffset.UTC);
    private static final long YEAR_10000 = LocalDateTime.of(10_000, 1, 1, 0, 0).toEpochSecond(ZoneOffset.UTC);

    private static TimestampData byTheJdk(String text) {
        return TimestampData.fromInstant(OffsetDateTime.parse(text).toInstant().truncatedTo(ChronoUnit.MICROS));
    }

    private static TimestampData parse(String text) {
        byte[] padded = ("\"" + text + "\"").getBytes(StandardCharsets.UTF_8);
        return UtcTime.parse(padded, 1, padded.length - 1);
    }

    @Test
    void agreesWithTheJdkOnEveryPointInTime() {
        Random random = new Random(5);
        for (int round = 0; round < 50_000; round++) {
            Instant time = Instant.ofEpochSecond(random.nextLong(YEAR_1, YEAR_10000), random.nextInt(1_000_000_000));
            String digits = String.format("%09d", time.getNano()).substring(0, random.nextInt(1, 10));
            String seconds = time.truncatedTo(ChronoUnit.SECONDS).toString().replace("Z", "");
            assertEquals(byTheJdk(seconds + "." + digits + "Z"), parse(seconds + "." + digits + "Z"));
            assertEquals(byTheJdk(seconds + "Z"), parse(seconds + "Z"));
        }
    }

    @Test
    void neverTakesWhatTheJdkDoesNot() {
        String text = "2024-02-29T23:59:59.123456789Z";
        String others = "0123456789-:.TZ+ zt/;";
        Random random = new Random(6);
        int taken = 0;
        for (int round = 0; round < 200_000; round++) {
            StringBuilder broken = new StringBuilder(text);
            for (int change = 0; change <= round % 2; change++) {
                broken.setCharAt(random.nextInt(text.length()), others.charAt(random.nextInt(others.length())));
            }
            TimestampData parsed;
            try {
                parsed = parse(broken.toString());
            } catch (DateTimeException noSuchDay) {
                assertThrows(DateTimeException.class, () -> byTheJdk(broken.toString()));
                continue;
            }
            if (parsed != null) {
                assertEquals(byTheJdk(broken.toString()), parsed);
                taken++;
            }
        }
        assertNotNull(parse(text));
        assertEquals(true, taken > 1_000);
    }

    @ParameterizedTest
    @ValueSource(strings = {"2026-03-01T12:00:00+02:00", "2026-03-01T12:00Z", "2026-03-01t12:00:00Z", "2026-03-01T12:00:00.Z", ""})
    void leavesOtherFormsToTheJdk(String text) {
        assertNull(parse(text));
    }
}
