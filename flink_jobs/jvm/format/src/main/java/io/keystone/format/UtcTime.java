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
     * Returns the point in time that the ASCII text between {@code start} and {@code end} names, cut off to microseconds, or
     * null if it is of another form, right or wrong.
     *
     * @throws java.time.DateTimeException the form is right and the day does not exist.
     */
    static TimestampData parse(byte[] text, int start, int end) {
        int length = end - start;
        if (length < SHORTEST || length > LONGEST || text[end - 1] != 'Z' || !isPunctuated(text, start)) {
            return null;
        }
        int year = digits(text, start, start + 4);
        int month = digits(text, start + 5, start + 7);
        int day = digits(text, start + 8, start + 10);
        int hour = digits(text, start + 11, start + 13);
        int minute = digits(text, start + 14, start + 16);
        int second = digits(text, start + 17, start + 19);
        int micros = micros(text, start + FRACTION, end - 1);
        boolean digitsOnly = (year | month | day | hour | minute | second | micros) >= 0;
        if (!digitsOnly || year == 0 || hour > 23 || minute > 59 || second > 59) {
            return null;
        }
        long milliOfDay = ((hour * 60 + minute) * 60 + second) * 1_000L + micros / 1_000;
        return TimestampData.fromEpochMillis(
                LocalDate.of(year, month, day).toEpochDay() * DAY_MILLIS + milliOfDay, micros % 1_000 * 1_000);
    }

    private static boolean isPunctuated(byte[] text, int start) {
        return text[start + 4] == '-'
                && text[start + 7] == '-'
                && text[start + 10] == 'T'
                && text[start + 13] == ':'
                && text[start + 16] == ':';
    }

    /** Returns the fraction between {@code from}, its point, and {@code end} in microseconds, 0 without one, -1 if it is none. */
    private static int micros(byte[] text, int from, int end) {
        if (end == from) {
            return 0;
        }
        if (text[from] != '.' || end == from + 1) {
            return -1;
        }
        int first = from + 1;
        int value = digits(text, first, Math.min(end, first + MICRO_DIGITS));
        for (int digit = end - first; digit < MICRO_DIGITS; digit++) {
            value *= 10;
        }
        boolean restIsDigits = end <= first + MICRO_DIGITS || digits(text, first + MICRO_DIGITS, end) >= 0;
        return restIsDigits ? value : -1;
    }

    private static int digits(byte[] text, int from, int to) {
        int value = 0;
        for (int at = from; at < to; at++) {
            int digit = text[at] - '0';
            if (digit < 0 || digit > 9) {
                return -1;
            }
            value = value * 10 + digit;
        }
        return value;
    }
}
