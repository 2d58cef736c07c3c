"""Patterns of `regexp_like`: what is taken, that it means what it says, and that it can't run away."""

from __future__ import annotations

import re

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keystone_platform.spec.filters.pattern import MAX_STEPS, BadPattern, pattern

WRITTEN = {
    "abc": (r"(?:abc)", r"(?:abc)"),
    "^a.b$": (r"(?:\Aa[\x{0}-\x{9}\x{B}-\x{D7FF}\x{E000}-\x{10FFFF}]b\z)", None),
    r"^\d+\.\w*$": (r"(?:\A[0-9]++\x{2E}[0-9A-Z\x{5F}a-z]*+\z)", r"(?:\A[0-9]+\x{2E}[0-9A-Z\x{5F}a-z]*\z)"),
    "^[a-z]+z": (r"(?:\A[a-z]+z)", r"(?:\A[a-z]+z)"),
    "(iPhone|iPad)?;": (r"(?:(?:iPhone|iPad)?\x{3B})", None),
    "^a|b$": (r"(?:\Aa|b\z)", None),
    "^[^/]*/": (r"(?:\A[\x{0}-\x{2E}0-\x{D7FF}\x{E000}-\x{10FFFF}]*+\x{2F})", None),
    "[]a-]": (r"(?:[\x{2D}\x{5D}a])", None),
    "^x{2,5}y": (r"(?:\Ax{2,5}+y)", r"(?:\Ax{2,5}y)"),
    "a+?": ("(?:a++)", "(?:a+)"),
    "'": (r"(?:\x{27})", r"(?:\x{27})"),
}


@pytest.mark.parametrize(("text", "expected"), WRITTEN.items())
def test_a_pattern_is_written_anew_for_each_engine(text: str, expected: tuple[str, str | None]) -> None:
    found = pattern(text)
    assert found.java == expected[0]
    assert expected[1] in (None, found.re2)


REFUSED = {
    "(a+)+": "a repeated group",
    "(a|aa)*": "a repeated group",
    "(a|b){2}": "a repeated group",
    "a**": "a quantifier after",
    "a++": "possessive",
    r"(a)\1": r"`\1`",
    r"\bx": r"`\b`",
    r"\p{L}": r"`\p`",
    r"\u0061": r"`\u`",
    r"\x61": r"`\x`",
    "(?=a)": "`(?`",
    "(?i)a": "`(?`",
    "(?<n>a)": "`(?`",
    "[[:alpha:]]": "`[` within brackets",
    "[a&&[b]]": "`[` within brackets",
    "[z-a]": "a range that is none",
    r"[\d-z]": "a range that is none",
    r"[^\w\W]": "no character fits",
    "[a": "not closed",
    "(a": "not closed",
    "a)": "never opened",
    "a$b": "before the end",
    "(a$)": "before the end",
    "a^b": "after the start",
    "(^a)": "after the start",
    "*a": "repeats nothing",
    "a{2,1}": "the smaller number first",
    "a{1000}": "the smaller number first",
    "a{x}": "begins no number",
    "\\": r"`\`",
    ".*a.*b.*c": "may take too long",
    "a.*b.*c": "may take too long",
    "^.*a.*b.*c": "may take too long",
    "a" * 501: "501 characters",
    "(" * 9 + "a" + ")" * 9: "nested more than 8",
    "(a?b?c?|d?){0,1}" * 20: "may take too long",
}


@pytest.mark.parametrize(("text", "said"), REFUSED.items(), ids=lambda value: value[:30])
def test_what_engines_read_differently_or_may_run_away_is_refused(text: str, said: str) -> None:
    with pytest.raises(BadPattern) as caught:
        pattern(text)
    assert said in f"{caught.value.what} {caught.value.mend}"
    assert caught.value.mend


USUAL = (
    "bot|crawler|spider",
    r"^/api/v[0-9]+/users/[^/]+$",
    r"^[^@\s]+@[^@\s]+\.[a-z]{2,10}$",
    r"Chrome/[0-9]+\.[0-9]+",
    r"^.*\.(jpg|png)$",
    r"(iPhone|iPad|iPod).*OS [0-9]+_",
    r"^[0-9a-f]{8}(-[0-9a-f]{4}){0,1}",
    r"\.(com|org)$",
)


@pytest.mark.parametrize("text", USUAL)
def test_usual_patterns_are_taken(text: str) -> None:
    assert pattern(text).steps <= MAX_STEPS


ATOMS = st.sampled_from(["a", "b", ".", "[ab]", "[^a]", r"\d", r"\W", "é", "😀", "1", "\\.", "\n"])
QUANTIFIED = st.tuples(ATOMS, st.sampled_from(["", "", "*", "+", "?", "{0,2}", "{2}", "*?"])).map("".join)
SEQUENCES = st.lists(QUANTIFIED, min_size=1, max_size=3).map("".join)
GROUPS = st.tuples(st.lists(SEQUENCES, min_size=1, max_size=3).map("|".join), st.sampled_from(["", "?"])).map(
    lambda each: f"({each[0]}){each[1]}"
)
PATTERNS = st.tuples(
    st.sampled_from(["", "^"]), st.lists(QUANTIFIED | GROUPS, max_size=4).map("".join), st.sampled_from(["", "$"])
).map("".join)
TEXTS = st.text(st.sampled_from("ab1é😀.\n"), max_size=7)


@settings(max_examples=300, deadline=None)
@given(PATTERNS, st.lists(TEXTS, min_size=5, max_size=5))
def test_a_pattern_matches_what_python_and_duckdb_match(text: str, subjects: list[str]) -> None:
    try:
        found = pattern(text)
    except BadPattern:
        return
    said = text.replace("$", r"\Z").replace(r"\d", "[0-9]").replace(r"\W", "[^0-9A-Za-z_]")
    # Python's syntax has no possessive quantifiers of sets by number either, but those of 3.11 mean Java's
    java = re.sub(r"\\x\{([0-9A-F]+)\}", lambda match: f"\\U{int(match[1], 16):08X}", found.java).replace(r"\z", r"\Z")
    re2 = duckdb.execute(
        "SELECT list_transform($1, lambda each: regexp_matches(each, $2))", [subjects, found.re2]
    ).fetchone()
    expected = [re.search(said, subject) is not None for subject in subjects]
    assert [re.search(java, subject) is not None for subject in subjects] == expected
    assert re2 == (expected,)
