package io.keystone.format;

import java.io.IOException;
import java.time.DateTimeException;
import java.time.LocalDate;
import java.time.OffsetDateTime;
import java.time.ZoneOffset;
import java.time.temporal.ChronoUnit;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.core.JsonParser;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.core.JsonToken;
import org.apache.flink.table.data.StringData;
import org.apache.flink.table.data.TimestampData;

/** What JSON carries as text. */
final class TextDecoders {

    /** Before year 1 and after year 9999 the calendars of Python, so of pyiceberg, and of SQL differ or end. */
    private static final int MIN_YEAR = 1;

    private static final int MAX_YEAR = 9999;

    private TextDecoders() {}

    record Text(String path) implements FieldDecoder {
        @Override
        public Object decode(JsonParser parser, JsonToken token) throws IOException, DeadEvent {
            return StringData.fromString(text(parser, token, path, "string"));
        }
    }

    /** Four-digit years, {@code 2026-03-01}. */
    record Date(String path) implements FieldDecoder {
        private static final int LENGTH = 10;

        @Override
        public Object decode(JsonParser parser, JsonToken token) throws IOException, DeadEvent {
            String text = text(parser, token, path, "date");
            if (text.length() == LENGTH) {
                try {
                    LocalDate day = LocalDate.parse(text);
                    if (day.getYear() >= MIN_YEAR) {
                        return (int) day.toEpochDay();
                    }
                } catch (DateTimeException notADay) {
                    // falls through
                }
            }
            throw new DeadEvent("wrong_type", path + ": expected a date like 2026-03-01");
        }
    }

    /** A point in time: a text without zone or offset could mean 26 different ones. Digits below a microsecond are cut off. */
    record Timestamp(String path) implements FieldDecoder {
        @Override
        public Object decode(JsonParser parser, JsonToken token) throws IOException, DeadEvent {
            String text = text(parser, token, path, "timestamp");
            try {
                TimestampData usual = UtcTime.parse(text);
                if (usual != null) {
                    return usual;
                }
                OffsetDateTime time = OffsetDateTime.parse(text).withOffsetSameInstant(ZoneOffset.UTC);
                if (time.getYear() >= MIN_YEAR && time.getYear() <= MAX_YEAR) {
                    return TimestampData.fromInstant(time.toInstant().truncatedTo(ChronoUnit.MICROS));
                }
            } catch (DateTimeException notATime) {
                // falls through
            }
            throw new DeadEvent("wrong_type", path + ": expected a timestamp like 2026-03-01T12:00:00Z");
        }
    }

    private static String text(JsonParser parser, JsonToken token, String path, String type)
            throws IOException, DeadEvent {
        if (token != JsonToken.VALUE_STRING) {
            throw TypeNames.wrongType(path, type, token);
        }
        String text = parser.getText();
        if (hasLoneSurrogate(text)) {
            throw new DeadEvent("not_utf8", path + ": half of a surrogate pair");
        }
        return text;
    }

    /** Escapes such as {@code \\ud800} are JSON but no text: there is no UTF-8 for them, and '?' would be a silent change. */
    private static boolean hasLoneSurrogate(String text) {
        for (int at = 0; at < text.length(); at++) {
            char unit = text.charAt(at);
            if (!Character.isSurrogate(unit)) {
                continue;
            }
            boolean pair = Character.isHighSurrogate(unit)
                    && at + 1 < text.length()
                    && Character.isLowSurrogate(text.charAt(at + 1));
            if (!pair) {
                return true;
            }
            at++;
        }
        return false;
    }
}
