"""The filter's text before it is a tree: what is refused at sight, and how a place in it is told."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

import sqlglot
from sqlglot import Token, TokenType
from sqlglot.errors import SqlglotError

from keystone_platform.errors import InvalidSpec

MAX_CHARACTERS = 8_000
MAX_TOKENS = 2_500
"""A list of a thousand values fits."""
MAX_DEPTH = 32
"""Parentheses and cases within each other, and signs or `not` in a row."""

_NEVER = {
    TokenType.L_BRACKET,
    TokenType.L_BRACE,
    TokenType.SEMICOLON,
    TokenType.SELECT,
    TokenType.DCOLON,
}
"""Refused before anything is parsed: what could nest without parentheses, or end the condition."""

_NESTING = {TokenType.L_PAREN: 1, TokenType.R_PAREN: -1, TokenType.CASE: 1, TokenType.END: -1}

LANGUAGE = (
    "Fields, 'text', numbers, true, false, date '…', timestamp '…', = <> < <= > >=, and, or, not, in, like, between, "
    "is null, + - * / %, ||, case, cast, interval and the functions of docs/filters.md."
)


def place(text: str, offset: int) -> str:
    """Name the place of a character: `column 5`, with the line where the text has several."""
    before = text[: max(offset, 0)]
    column = len(before) - (before.rfind("\n") + 1) + 1
    lines = f"line {before.count(chr(10)) + 1}, " if "\n" in text.strip() else ""
    return f"{lines}column {column}"


def wrong(text: str, offset: int, what: str, mend: str) -> InvalidSpec:
    """Return the error for that place of the filter's text."""
    return InvalidSpec(f"{place(text, offset)}: {what}", mend=mend, field="filter")


def tokens_of(text: str) -> Sequence[Token]:
    """Return the text's tokens.

    Raises:
        InvalidSpec: empty, too long, too deep, not text, or with comments.
    """
    _check_characters(text)
    try:
        tokens = sqlglot.tokenize(text)
    except SqlglotError as error:
        start = max(text.rfind("'"), 0)
        raise wrong(text, start, "a quote that is not closed", "Write 'it''s' for a quote within text.") from error
    if not tokens:
        message = "an empty filter"
        raise InvalidSpec(message, mend="Leave `filter` out to keep every event.", field="filter")
    if len(tokens) > MAX_TOKENS:
        what = f"{len(tokens)} words and signs, more than {MAX_TOKENS}"
        raise InvalidSpec(what, mend="Filter by a field that says the same shorter.", field="filter")
    for token, before in zip(tokens, [None, *tokens], strict=False):
        if before is not None and token.token_type is before.token_type is TokenType.STRING:
            raise wrong(text, token.start, "a text right after another one", "Write a comma, or || to join them.")
        if token.comments:
            raise wrong(text, token.start, "a comment", "Remove it; comments belong into the YAML, behind #.")
        if token.token_type in _NEVER:
            raise wrong(text, token.start, f"`{token.text}` is not part of the filter language", LANGUAGE)
    _check_depth(text, tokens)
    return tokens


def _check_characters(text: str) -> None:
    if len(text) > MAX_CHARACTERS:
        what = f"{len(text)} characters, more than {MAX_CHARACTERS}"
        raise InvalidSpec(what, mend="Filter by a field that says the same shorter.", field="filter")
    for offset, character in enumerate(text):
        is_control = unicodedata.category(character) in ("Cc", "Cs") and character not in "\t\n\r"
        if is_control or ord(character) & 0xFFFE == 0xFFFE:
            raise wrong(text, offset, f"the character U+{ord(character):04X} is no text", "Remove it.")


def _check_depth(text: str, tokens: Sequence[Token]) -> None:
    depth = run = 0
    for token in tokens:
        depth += _NESTING.get(token.token_type, 0)
        is_prefix = token.token_type in (TokenType.NOT, TokenType.DASH, TokenType.PLUS, TokenType.TILDE)
        run = run + 1 if is_prefix else 0
        if depth + run > MAX_DEPTH:
            raise wrong(text, token.start, f"nested more than {MAX_DEPTH} deep", "Write it flatter.")
