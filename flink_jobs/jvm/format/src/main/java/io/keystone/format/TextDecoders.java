package io.keystone.format;

import java.time.DateTimeException;
import java.time.LocalDate;
import java.time.OffsetDateTime;
import java.time.ZoneOffset;
import java.time.temporal.ChronoUnit;
import org.apache.flink.table.data.StringData;
import org.apache.flink.table.data.TimestampData;

/** What JSON carries as text. */
public final class TextDecoders {

    /** Before year 1 and after year 9999 the calendars of Python, so of pyiceberg, and of SQL differ or end. */
    private static final int MIN_YEAR = 1;

    private static final int MAX_YEAR = 9999;

    private static final int DATE_LENGTH = 10;

    /** What a text in their place should have been. */
    public static final String DATE = "expected a date like 2026-03-01";

    public static final String TIMESTAMP = "expected a timestamp like 2026-03-01T12:00:00Z";

    private TextDecoders() {}

    /** Returns the days since 1970 of {@code 2026-03-01}, null for any other text. */
    public static Integer day(String text) {
        if (text.length() == DATE_LENGTH) {
            try {
                LocalDate day = LocalDate.parse(text);
                return day.getYear() >= MIN_YEAR ? (int) day.toEpochDay() : null;
            } catch (DateTimeException notADay) {
                return null;
            }
        }
        return null;
    }

    /** Returns the point in time that the text names with a zone or offset, null for any other text. */
    public static TimestampData time(String text) {
        try {
            OffsetDateTime time = OffsetDateTime.parse(text).withOffsetSameInstant(ZoneOffset.UTC);
            boolean isHeld = time.getYear() >= MIN_YEAR && time.getYear() <= MAX_YEAR;
            return isHeld ? TimestampData.fromInstant(time.toInstant().truncatedTo(ChronoUnit.MICROS)) : null;
        } catch (DateTimeException notATime) {
            return null;
        }
    }

    record Text(String path) implements FieldDecoder {
        @Override
        public Object decode(JsonCursor cursor) throws DeadEvent {
            return text(cursor, path, "string");
        }
    }

    /** Four-digit years, {@code 2026-03-01}. */
    record Date(String path) implements FieldDecoder {
        @Override
        public Object decode(JsonCursor cursor) throws DeadEvent {
            Integer day = day(text(cursor, path, "date").toString());
            if (day == null) {
                throw DeadEvent.wrongType(path, DATE);
            }
            return day;
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
            } catch (DateTimeException noSuchDay) {
                throw DeadEvent.wrongType(path, TIMESTAMP);
            }
            TimestampData time = time(text.toString());
            if (time == null) {
                throw DeadEvent.wrongType(path, TIMESTAMP);
            }
            return time;
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
