"""From a text of the filter language to its typed tree."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from functools import lru_cache

from sqlglot import Token, TokenType, exp
from sqlglot.dialects import Dialect
from sqlglot.errors import SqlglotError

from keystone_platform.errors import InvalidSpec
from keystone_platform.spec.filters.reading import Reading
from keystone_platform.spec.filters.text import LANGUAGE, tokens_of, wrong
from keystone_platform.spec.filters.tree import Expr, field_paths
from keystone_platform.spec.types import Struct

_WORDS = {"and", "or", "not", "in", "like", "is", "null", "between", "true", "false"}
_CASE_WORDS = {"case", "when", "then", "else", "end"}


_REMEMBERED = 16_384
"""Texts whose trees are kept: checking a fleet and planning it read each of them twice."""


@lru_cache(_REMEMBERED)
def parse_filter(text: str, schema: Struct) -> Expr:
    """Return the typed tree of a filter; its type is BOOLEAN, and it reads at least one field.

    Raises:
        InvalidSpec: the text is not of the language or does not fit the schema. It names the column in the text; its
            field is `filter`.
    """
    tree = Reading(text, schema).condition(_root(text, schema))
    if not field_paths(tree):
        mend = "Name a field of the schema; quotes 'make text', fields have none."
        message = "the filter looks at no field, so it is always the same"
        raise InvalidSpec(message, mend=mend, field="filter")
    return tree


@lru_cache(_REMEMBERED)
def parse_expression(text: str, schema: Struct) -> Expr:
    """Return the typed tree of a value, a scalar of any type; it may be a constant.

    Raises:
        InvalidSpec: as `parse_filter`.
    """
    return Reading(text, schema).value(_root(text, schema))


def _root(text: str, schema: Struct) -> exp.Expr:
    """Return what sqlglot makes of the text."""
    tokens = _fields_first(tokens_of(text), schema)
    dialect = Dialect.get_or_raise("")
    try:
        (root,) = dialect.parser().parse_into(exp.Condition, tokens, text)
    except (SqlglotError, ValueError, RecursionError) as error:
        raise wrong(text, _offset_of(error, text), "near here this can't be read as a filter", LANGUAGE) from error
    if not isinstance(root, exp.Expr):
        raise wrong(text, 0, "this can't be read as a filter", LANGUAGE)
    return root


def _fields_first(tokens: Sequence[Token], schema: Struct) -> list[Token]:
    """Let a field's name be a name although it is a word of SQL (`comment`, `from`, `set`), as the schema allows it.

    A field called `end` and the like has to stand in double quotes where the text has a `case … end`.
    """
    kinds = {token.token_type for token in tokens}
    reserved = _WORDS | (_CASE_WORDS if {TokenType.CASE, TokenType.END} <= kinds else set())
    names = {name for name in _names(schema) if name.lower() not in reserved}
    found = list(tokens)
    for index, (token, after) in enumerate(zip(found, [*found[1:], None], strict=True)):
        is_call = after is not None and after.token_type in (TokenType.L_PAREN, TokenType.STRING)
        if token.text in names and token.token_type is not TokenType.STRING and not is_call:
            found[index] = Token(
                TokenType.IDENTIFIER, token.text, line=token.line, col=token.col, start=token.start, end=token.end
            )
    return found


def _names(schema: Struct) -> Iterable[str]:
    for field in schema.fields:
        yield field.name
        if isinstance(field.type, Struct):
            yield from _names(field.type)


def _offset_of(error: Exception, text: str) -> int:
    """Return where sqlglot stopped; it tells lines and columns, the column that of the token's last character."""
    details = getattr(error, "errors", None) or [{}]
    line, column = details[0].get("line") or 1, details[0].get("col") or 1
    width = len(details[0].get("highlight") or "x")
    starts = [0, *(match.end() for match in re.finditer("\n", text))]
    return min(starts[min(line, len(starts)) - 1] + max(column - width, 0), len(text))
