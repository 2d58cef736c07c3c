"""Avro's schemas with their named types resolved."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

Json = Any
"""A schema as JSON."""

_PRIMITIVES = frozenset({"null", "boolean", "int", "long", "float", "double", "bytes", "string"})


def kind_of(schema: Json) -> str:
    """Return what a schema is: a primitive type, record, enum, fixed, array, map or union."""
    if isinstance(schema, list):
        return "union"
    return str(schema["type"] if isinstance(schema, dict) else schema)


@dataclass
class Schemas:
    """Schemas whose named types are all written in full: a name stands for a type that is in `known`."""

    known: dict[str, Json] = field(default_factory=dict)

    def named(self, schema: Json, namespace: str) -> Json:
        if isinstance(schema, list):
            return [self.named(each, namespace) for each in schema]
        if isinstance(schema, str):
            return schema if schema in _PRIMITIVES else self._full(schema, namespace)
        kind = schema["type"]
        if isinstance(kind, dict | list):
            return self.named(kind, namespace)
        if kind == "array":
            return {**schema, "items": self.named(schema["items"], namespace)}
        if kind == "map":
            return {**schema, "values": self.named(schema["values"], namespace)}
        if kind in ("record", "error", "enum", "fixed"):
            return self._definition(schema, namespace)
        return schema if kind in _PRIMITIVES else self._full(kind, namespace)

    def _full(self, name: str, namespace: str) -> Json:
        full = name if "." in name or not namespace else f"{namespace}.{name}"
        return self.known[full] if full in self.known else self.known[name]

    def _definition(self, schema: Json, namespace: str) -> Json:
        full = schema["name"]
        if "." not in full and (space := schema.get("namespace", namespace)):
            full = f"{space}.{full}"
        made = self.known[full] = {**schema, "full": full}
        if schema["type"] in ("record", "error"):
            inner = full.rpartition(".")[0]
            made["type"] = "record"
            made["fields"] = [{**each, "type": self.named(each["type"], inner)} for each in schema["fields"]]
        return made


def may_be_empty(writer: Json, within: set[str]) -> bool:
    """Whether a value may take no bytes; `within` are the records that are being looked at."""
    match kind_of(writer):
        case "null":
            return True
        case "fixed":
            return bool(writer["size"] == 0)
        case "record":
            if writer["full"] in within:
                return True
            within.add(writer["full"])
            return all(may_be_empty(each["type"], within) for each in writer["fields"])
        case _:
            return False
