package io.keystone.format;

import java.time.DateTimeException;
import java.time.LocalDate;
import java.time.OffsetDateTime;
import java.time.ZoneOffset;
import java.time.temporal.ChronoUnit;
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
        public Object decode(JsonCursor cursor) throws DeadEvent {
            return text(cursor, path, "string");
        }
    }

    /** Four-digit years, {@code 2026-03-01}. */
    record Date(String path) implements FieldDecoder {
        private static final int LENGTH = 10;

        @Override
        public Object decode(JsonCursor cursor) throws DeadEvent {
            String text = text(cursor, path, "date").toString();
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
            throw DeadEvent.wrongType(path, "expected a date like 2026-03-01");
        }
    }

    /** A point in time: a text without zone or offset could mean 26 different ones. Digits below a microsecond are cut off. */
    record Timestamp(String path) implements FieldDecoder {
        @Override
        public Object decode(JsonCursor cursor) throws DeadEvent {
            StringData text = text(cursor, path, "timestamp");
            try {
                if (!cursor.escaped()) {
                    TimestampData usual = UtcTime.parse(cursor.bytes(), cursor.start(), cursor.end());
                    if (usual != null) {
                        return usual;
                    }
                }
                OffsetDateTime time = OffsetDateTime.parse(text.toString()).withOffsetSameInstant(ZoneOffset.UTC);
                if (time.getYear() >= MIN_YEAR && time.getYear() <= MAX_YEAR) {
                    return TimestampData.fromInstant(time.toInstant().truncatedTo(ChronoUnit.MICROS));
                }
            } catch (DateTimeException notATime) {
                // falls through
            }
            throw DeadEvent.wrongType(path, "expected a timestamp like 2026-03-01T12:00:00Z");
        }
    }

    private static StringData text(JsonCursor cursor, String path, String type) throws DeadEvent {
        if (cursor.kind() != JsonKind.STRING) {
            throw FieldDecoder.misfit(cursor, path, type);
        }
        cursor.string();
        StringData text = cursor.text();
        if (text == null) {
            throw new DeadEvent("not_utf8", path + ": half of a surrogate pair");
        }
        return text;
    }
}
