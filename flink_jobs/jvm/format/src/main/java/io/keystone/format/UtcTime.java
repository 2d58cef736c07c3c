package io.keystone.format;

import java.time.LocalDate;
import org.apache.flink.table.data.TimestampData;

/**
 * The form in which nearly every producer writes a point in time, {@code 2026-03-01T12:00:00[.123456789]Z}, without the
 * cost of a formatter, which is that of decoding the rest of the event.
 */
final class UtcTime {

    private static final int SHORTEST = "2026-03-01T12:00:00Z".length();
    private static final int LONGEST = SHORTEST + ".123456789".length();
    private static final int FRACTION = "2026-03-01T12:00:00".length();
    private static final int MICRO_DIGITS = 6;
    private static final long DAY_MILLIS = 86_400_000L;

    private UtcTime() {}

    /**
     * Returns the point in time, cut off to microseconds, or null if the text is of another form, right or wrong.
     *
     * @throws java.time.DateTimeException the form is right and the day does not exist.
     */
    static TimestampData parse(String text) {
        int end = text.length() - 1;
        if (text.length() < SHORTEST || text.length() > LONGEST || text.charAt(end) != 'Z' || !isPunctuated(text)) {
            return null;
        }
        int year = digits(text, 0, 4);
        int month = digits(text, 5, 7);
        int day = digits(text, 8, 10);
        int hour = digits(text, 11, 13);
        int minute = digits(text, 14, 16);
        int second = digits(text, 17, 19);
        int micros = micros(text, end);
        boolean digitsOnly = (year | month | day | hour | minute | second | micros) >= 0;
        if (!digitsOnly || year == 0 || hour > 23 || minute > 59 || second > 59) {
            return null;
        }
        long milliOfDay = ((hour * 60 + minute) * 60 + second) * 1_000L + micros / 1_000;
        return TimestampData.fromEpochMillis(
                LocalDate.of(year, month, day).toEpochDay() * DAY_MILLIS + milliOfDay, micros % 1_000 * 1_000);
    }

    private static boolean isPunctuated(String text) {
        return text.charAt(4) == '-' && text.charAt(7) == '-' && text.charAt(10) == 'T' && text.charAt(13) == ':'
                && text.charAt(16) == ':';
    }

    /** Returns the fraction up to {@code end} in microseconds, 0 without one, -1 if it is none. */
    private static int micros(String text, int end) {
        if (end == FRACTION) {
            return 0;
        }
        if (text.charAt(FRACTION) != '.' || end == FRACTION + 1) {
            return -1;
        }
        int first = FRACTION + 1;
        int value = digits(text, first, Math.min(end, first + MICRO_DIGITS));
        for (int digit = end - first; digit < MICRO_DIGITS; digit++) {
            value *= 10;
        }
        boolean restIsDigits = end <= first + MICRO_DIGITS || digits(text, first + MICRO_DIGITS, end) >= 0;
        return restIsDigits ? value : -1;
    }

    private static int digits(String text, int from, int to) {
        int value = 0;
        for (int at = from; at < to; at++) {
            int digit = text.charAt(at) - '0';
            if (digit < 0 || digit > 9) {
                return -1;
            }
            value = value * 10 + digit;
        }
        return value;
    }
}
