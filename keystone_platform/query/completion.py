"""What a half-typed word of a statement can become: tables, columns of the tables named so far, functions, keywords."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import duckdb

from keystone_platform.errors import KeystoneError
from keystone_platform.query.views import named_tables

COMMANDS = (".as-of", ".help", ".mode", ".quit", ".refresh", ".schema", ".tables", ".timer")


class Words:
    """Suggestions; columns are looked up once a table.

    Args:
        tables: returns the tables there are.
        columns: returns a table's columns.
    """

    def __init__(self, tables: Callable[[], Sequence[str]], columns: Callable[[str], Iterable[str]]) -> None:
        self._tables = tables
        self._columns = columns
        self._known: dict[str, tuple[str, ...]] = {}
        with duckdb.connect() as session:
            self._language = tuple(row[0] for row in session.execute(_LANGUAGE).fetchall())

    def suggest(self, text: str, word: str) -> tuple[str, ...]:
        """Return what the word at the end of a statement that reads `text` so far can become, best first.

        Blocks for a request to catalog and object store when the text names a table for the first time.
        """
        if text.lstrip().startswith("."):
            return _beginning(COMMANDS if text.strip() == word else self._tables(), word)
        if not word:
            return ()
        columns = sorted({column for table in named_tables(text, self._tables()) for column in self._of(table)})
        qualifier, dot, rest = word.rpartition(".")
        of_alias = [f"{qualifier}{dot}{column}" for column in columns if dot and column.startswith(rest)]
        return (*_beginning(self._tables(), word), *(of_alias or _beginning((*columns, *self._language), word)))

    def _of(self, table: str) -> tuple[str, ...]:
        if table not in self._known:
            try:
                self._known[table] = tuple(self._columns(table))
            except KeystoneError:  # a suggestion less
                return ()
        return self._known[table]


def _beginning(words: Iterable[str], start: str) -> tuple[str, ...]:
    return tuple(word for word in words if word.lower().startswith(start.lower()))


_LANGUAGE = """
SELECT lower(keyword_name) AS word FROM duckdb_keywords()
UNION SELECT function_name FROM duckdb_functions() WHERE regexp_matches(function_name, '^[a-z]')
ORDER BY word
"""
