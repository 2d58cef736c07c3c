package io.keystone.registry;

import java.util.ArrayList;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** The words of a .proto file, comments left out. */
final class ProtoTokens {

    private static final Pattern TOKEN = Pattern.compile(
            "\\s+|//[^\\n]*|/\\*.*?\\*/"
                    + "|(?<word>[A-Za-z_][A-Za-z0-9_.]*|\\.[A-Za-z_][A-Za-z0-9_.]*"
                    + "|\"(?:\\\\.|[^\"\\\\\\n])*\"|'(?:\\\\.|[^'\\\\\\n])*'"
                    + "|[0-9.][0-9A-Za-z_.]*(?:(?<=[eE])[+-][0-9]+)?|[{}\\[\\]()<>;:,=/+-])",
            Pattern.DOTALL);

    private final List<String> words = new ArrayList<>();
    private int at;

    ProtoTokens(String text) {
        Matcher matcher = TOKEN.matcher(text);
        int end = 0;
        while (end < text.length()) {
            if (!matcher.find(end) || matcher.start() != end) {
                throw new IllegalArgumentException("no .proto file");
            }
            if (matcher.group("word") != null) {
                words.add(matcher.group("word"));
            }
            end = matcher.end();
        }
    }

    boolean atEnd() {
        return at == words.size();
    }

    String peek() {
        return peek(0);
    }

    String peek(int ahead) {
        return at + ahead < words.size() ? words.get(at + ahead) : "";
    }

    String next() {
        if (atEnd()) {
            throw new IllegalArgumentException("it ends early");
        }
        return words.get(at++);
    }

    boolean passes(String word) {
        if (!peek().equals(word)) {
            return false;
        }
        at++;
        return true;
    }

    void pass(String word) {
        String found = next();
        if (!found.equals(word)) {
            throw new IllegalArgumentException(word + " is expected");
        }
    }

    /** Returns a quoted text; escapes in names of files are not looked at. */
    String text() {
        String quoted = next();
        if (quoted.length() < 2 || quoted.charAt(0) != '"' && quoted.charAt(0) != '\'') {
            throw new IllegalArgumentException("a text is expected");
        }
        return quoted.substring(1, quoted.length() - 1);
    }

    int number() {
        boolean negative = passes("-");
        int value = Integer.decode(next());
        return negative ? -value : value;
    }

    /** Passes up to and with that word, and whole brackets on the way. */
    void skipTo(String last) {
        while (!passes(last)) {
            switch (next()) {
                case "{" -> skipTo("}");
                case "[" -> skipTo("]");
                case "(" -> skipTo(")");
                default -> { }
            }
        }
    }
}
