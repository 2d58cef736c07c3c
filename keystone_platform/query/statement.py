"""Which statements a locked session runs: one query, of granted tables, by an allow-list over DuckDB's own parse tree.

The tree is the parser's, so no comment, quoting or spelling hides anything; what is not known here is refused.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator
from typing import Any, NoReturn

import duckdb

from keystone_platform.errors import InvalidSpec

TABLE_FUNCTIONS = frozenset({"range", "generate_series", "unnest", "repeat", "json_each", "json_tree"})
"""Functions in FROM that read nothing but their arguments. All others read files, settings, or run text."""

FORBIDDEN_FUNCTIONS = frozenset(
    {
        "current_setting",
        "getenv",
        "getvariable",
        "pg_sleep",
        "sleep_ms",
        "write_log",
        "nextval",
        "currval",
        "json_deserialize_sql",
        "json_execute_serialized_sql",
    }
)
"""Functions on values that look or act beyond their arguments, or wait."""

SHOWN = frozenset({'"tables"', "__show_tables_expanded", '"databases"', "__show_databases", ""})
"""What SHOW may list; DESCRIBE and SUMMARIZE of a table have no name of their own."""

CATALOG_SCHEMA = "information_schema"
"""Its views tell of the granted tables and nothing else."""

_EXPLAIN = re.compile(r"\A\s*explain(\s+analyze)?\s+(?=select|from|with|\()", re.IGNORECASE)
_WORD = re.compile(r"\w+")

Node = dict[str, Any]
"""A node of the parse tree, as DuckDB writes it in JSON."""


def check_statement(session: duckdb.DuckDBPyConnection, sql: str, tables: Collection[str]) -> None:
    """Raise InvalidSpec unless the text is one query of these tables (`schema.name`) that reads nothing else.

    Args:
        session: parses; runs nothing of the text.
        sql: the text.
        tables: what may be read.
    """
    tree = _tree(session, sql)
    nodes = list(_nodes(tree))
    names = {entry["key"] for node in nodes for entry in _entries(node.get("cte_map"))}
    if odd := sorted(name for name in names if not _WORD.fullmatch(name)):
        # such a name could mean a file where the common table expression is out of sight
        _refuse(f"the name {odd[0]!r} of a common table expression", "Letters, digits and _ only.")
    granted = {tuple(table.lower().split(".", 1)) for table in tables}
    for node in nodes:
        _check_node(node, granted, {name.lower() for name in names})


def _check_node(node: Node, granted: Collection[tuple[str, ...]], names: Collection[str]) -> None:
    kind = node.get("type")
    if kind == "TABLE_FUNCTION":
        function = node.get("function") or {}
        if function.get("function_name") not in TABLE_FUNCTIONS or function.get("schema") or function.get("catalog"):
            _refuse(f"{function.get('function_name')}() in FROM", "Only the granted tables can be read.")
    elif kind == "BASE_TABLE":
        schema, name = node.get("schema_name", "").lower(), node.get("table_name", "").lower()
        local = not schema and name in names
        known = (schema, name) in granted or schema == CATALOG_SCHEMA
        if node.get("catalog_name") or not (local or known):
            shown = f"{schema}.{name}" if schema else name
            _refuse(f"the table {shown}", f"Tables: {', '.join(sorted('.'.join(each) for each in granted))}.")
    elif kind == "SHOW_REF":
        if node.get("table_name", "") not in SHOWN or node.get("schema_name") or node.get("catalog_name"):
            _refuse(f"SHOW {node.get('table_name')}", "SHOW TABLES and DESCRIBE are there.")
    elif node.get("class") == "FUNCTION" and node.get("function_name") in FORBIDDEN_FUNCTIONS:
        _refuse(f"{node.get('function_name')}()", "Leave it out.")


def _tree(session: duckdb.DuckDBPyConnection, sql: str) -> Node:
    if "\x00" in sql:  # where one reader may end and another go on
        _refuse("a statement with a zero byte", "Leave it out.")
    try:
        statements = duckdb.extract_statements(sql)
    except duckdb.Error as error:
        raise InvalidSpec(str(error).strip()) from error
    if len(statements) != 1 or statements[0].type.name not in ("SELECT", "EXPLAIN"):
        kinds = ", ".join(statement.type.name for statement in statements) or "nothing"
        _refuse(f"a statement of this kind ({kinds})", "One SELECT, DESCRIBE, SUMMARIZE, SHOW TABLES or EXPLAIN.")
    text = sql
    if statements[0].type.name == "EXPLAIN":
        text, explained = _EXPLAIN.subn("", sql, count=1)
        if not explained:
            _refuse("this form of EXPLAIN", "EXPLAIN SELECT … and EXPLAIN ANALYZE SELECT … are there.")
    try:
        found = session.execute("SELECT json_serialize_sql(?::VARCHAR)", [text]).fetchone()
        tree: Node = json.loads(found[0]) if found else {"error": True}
    except (duckdb.Error, RecursionError) as error:
        message = "the statement is nested too deep, or too long"
        raise InvalidSpec(message, mend="Take it apart.") from error
    if tree.get("error") or len(tree["statements"]) != 1:
        _refuse("this statement", "PIVOT needs its values: PIVOT … ON column IN (…).")
    return tree


def _nodes(value: object) -> Iterator[Node]:
    waiting = [value]
    while waiting:
        match waiting.pop():
            case dict() as node:
                yield node
                waiting += node.values()
            case list() as items:
                waiting += items


def _entries(ctes: Any) -> list[Node]:  # noqa: ANN401 - JSON
    return ctes.get("map", []) if isinstance(ctes, dict) else []


def _refuse(what: str, mend: str) -> NoReturn:
    message = f"a locked session does not run {what}" if what.startswith(("a ", "this ")) else f"refused here: {what}"
    raise InvalidSpec(message, mend=mend)
