"""Reads `schema:` of a stream file: a mapping of field names to types, nested where a type is a mapping."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

from keystone_platform.spec.types import Array, Field, FieldType, OnTypeError, Scalar, Struct

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,127}")
_ARRAY = re.compile(r"array<(\w+)>")

MAX_DEPTH = 8
"""Levels of nested objects; deeper ones are beyond what tables and their readers show usefully."""


@dataclass(frozen=True)
class SchemaProblem:
    """Something wrong in a schema.

    Attributes:
        path: keys from the schema's top to the place, empty for the schema itself.
    """

    path: tuple[str, ...]
    what: str
    mend: str


def struct_of(value: Any) -> Struct | None:  # noqa: ANN401 - raw YAML
    """Turn the YAML's mapping of names to types into a Struct.

    Raises:
        ValueError: the first of `schema_problems`.
    """
    if value is None or isinstance(value, Struct):
        return value
    for problem in schema_problems(value):
        message = f"{problem.what}; {problem.mend}"
        raise ValueError(message)
    return _struct(value)


def schema_problems(value: Any, path: tuple[str, ...] = ()) -> Iterator[SchemaProblem]:  # noqa: ANN401 - raw YAML
    """Yield everything that is wrong in a schema as written, in the order of the text."""
    if not isinstance(value, dict) or not value:
        yield SchemaProblem(path, f"fields with their types are expected, found {value!r}", "Write `name: type` lines.")
        return
    if len(path) >= MAX_DEPTH:
        yield SchemaProblem(path, f"nested more than {MAX_DEPTH} levels deep", "Declare fewer levels.")
        return
    spelled: dict[str, str] = {}
    for name, kind in value.items():
        yield from _name_problems(name, path, spelled)
        type_, _ = _parted(kind)
        if (policy := _misspelt_policy(kind)) is not None:
            what = f"`{policy}` says nothing that is known of values of a wrong type"
            yield SchemaProblem((*path, name), what, _POLICY_MEND)
        elif isinstance(type_, dict):
            yield from schema_problems(type_, (*path, name))
        elif not isinstance(type_, str) or _type_named(type_) is None:
            yield SchemaProblem((*path, name), f"{type_!r} is no type", _type_mend(type_))


_POLICY_MEND = "Write {type: …, on_type_error: dead_letter}, or null instead of dead_letter."


def _misspelt_policy(kind: Any) -> str | None:  # noqa: ANN401 - raw YAML
    """Return what is beside a type that can only be meant as `on_type_error`: no object has a field of no type."""
    if not isinstance(kind, dict) or len(kind) != 2 or not isinstance(kind.get("type"), str):
        return None
    ((key, value),) = ((key, value) for key, value in kind.items() if key != "type")
    is_type = isinstance(value, dict) or (isinstance(value, str) and _type_named(value) is not None)
    is_meant = isinstance(key, str) and get_close_matches(key, ["on_type_error"], n=1, cutoff=0.6)
    return f"{key}: {value}" if is_meant and not is_type and _parted(kind)[1] is None else None


def _name_problems(name: Any, path: tuple[str, ...], spelled: dict[str, str]) -> Iterator[SchemaProblem]:  # noqa: ANN401
    place = (*path, str(name))
    if isinstance(name, str) and name.startswith("_"):
        what = f"{name!r}: names that begin with an underscore are reserved for Keystone's own columns"
        yield SchemaProblem(place, what, "Leave the field out.")
    elif not isinstance(name, str) or not _NAME.fullmatch(name):
        mend = "Use a letter first, then letters, digits and underscores, 128 at most; leave other fields out."
        yield SchemaProblem(place, f"{name!r} is no field name", mend)
    else:
        other = spelled.setdefault(name.lower(), name)
        if other != name:
            what = f"{name!r} and {other!r} differ only by case, which table readers don't tell apart"
            yield SchemaProblem(place, what, "Declare one of them.")


def _type_mend(kind: Any) -> str:  # noqa: ANN401 - raw YAML
    close = get_close_matches(str(kind).lower(), list(_SYNONYMS) + list(Scalar), n=1, cutoff=0.6)
    hint = f"Did you mean {str(_SYNONYMS.get(close[0], close[0]))!r}? " if close else ""
    if isinstance(kind, str) and kind.lower().startswith(("array", "list")):
        hint = "An array is written array<string>, with a plain type within. "
    return f"{hint}Types are {', '.join(Scalar)}, array<…> of one of them, or a mapping of fields."


_SYNONYMS = {
    "str": Scalar.STRING,
    "text": Scalar.STRING,
    "varchar": Scalar.STRING,
    "bool": Scalar.BOOLEAN,
    "integer": Scalar.INT,
    "int32": Scalar.INT,
    "long": Scalar.BIGINT,
    "int64": Scalar.BIGINT,
    "real": Scalar.FLOAT,
    "number": Scalar.DOUBLE,
    "decimal": Scalar.DOUBLE,
    "datetime": Scalar.TIMESTAMP,
    "timestamptz": Scalar.TIMESTAMP,
}
"""What other systems call our types; only for the hint."""


def _struct(value: dict[str, Any]) -> Struct:
    parted = ((name, *_parted(kind)) for name, kind in value.items())
    return Struct(tuple(Field(name, _type(type_), on_type_error) for name, type_, on_type_error in parted))


def _parted(kind: Any) -> tuple[Any, OnTypeError | None]:  # noqa: ANN401 - raw YAML
    """Part `{type: bigint, on_type_error: null}`; any other mapping is an object's fields, these names included."""
    if isinstance(kind, dict) and kind.keys() == {"type", "on_type_error"}:
        policy = kind["on_type_error"] or OnTypeError.NULL  # YAML's own null
        if isinstance(policy, str) and policy in set(OnTypeError):
            return kind["type"], OnTypeError(policy)
    return kind, None


def _type(kind: Any) -> FieldType:  # noqa: ANN401 - raw YAML
    type_ = _struct(kind) if isinstance(kind, dict) else _type_named(kind)
    if type_ is None:
        raise TypeError(kind)
    return type_


def _type_named(name: str) -> Scalar | Array | None:
    """Return the type that the YAML's word names, or None."""
    match = _ARRAY.fullmatch(name)
    word = match[1] if match else name
    if word not in set(Scalar):
        return None
    return Array(Scalar(word)) if match else Scalar(word)
