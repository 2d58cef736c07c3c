"""A field as a filter names it, looked up in the stream's schema."""

from __future__ import annotations

from difflib import get_close_matches
from typing import NoReturn

from sqlglot import exp

from keystone_platform.spec.filters.source import Source
from keystone_platform.spec.filters.tree import Column
from keystone_platform.spec.filters.typing import named
from keystone_platform.spec.types import FieldType, Struct


def column(source: Source, schema: Struct, node: exp.Expr) -> Column:
    """Return the declared field that the node names; refuses it where there is none."""
    path = _path(source, node)
    here: FieldType = schema
    for depth, name in enumerate(path):
        field = here.field(name) if isinstance(here, Struct) else None
        if field is None:
            _unknown(source, node, path, depth, here)
        here = field.type
    return Column(path, here)


def _path(source: Source, node: exp.Expr) -> tuple[str, ...]:
    parts = list(node.parts) if isinstance(node, exp.Column | exp.Dot) else []
    allowed = {"this", "table", "db", "catalog", "expression"}
    source.check_arguments(node, *allowed)
    if not parts or any(type(part) is not exp.Identifier for part in parts):
        source.wrong(node, f"{source.shown(node)} is no field", "Write a field as in device.type.")
    return tuple(str(part.name) for part in parts)


def _unknown(source: Source, node: exp.Expr, path: tuple[str, ...], depth: int, here: FieldType) -> NoReturn:
    written, parent = ".".join(path), ".".join(path[:depth])
    if not isinstance(here, Struct):
        source.wrong(node, f"{parent} is {named(here)} and has no fields", f"Write {parent} alone.")
    known = [".".join((*path[:depth], field.name)) for field in here.fields]
    close = get_close_matches(written.lower(), [name.lower() for name in known], n=1)
    hint = next((f"Did you mean {name}?" for name in known if close and name.lower() == close[0]), "")
    mend = hint or f"The schema has {', '.join(known[:20])}. Text goes into single quotes."
    if f'"{written}"' in source.text:
        mend = f"Text goes into single quotes: '{written}'."
    source.wrong(node, f"unknown field {written}", mend)
