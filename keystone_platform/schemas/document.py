"""A stream's declared fields as a JSON Schema document, and back.

The document is what is published. JSON Schema says what any validator can check; what it has no words for (5.0 is no
`bigint`, a `timestamp` needs an offset) is in the keywords `x-keystone-…`, which others ignore.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import Any

from keystone_platform.spec.models import PayloadFormat, StreamSpec
from keystone_platform.spec.types import Array, Field, FieldType, OnTypeError, Scalar, Struct

DRAFT = "https://json-schema.org/draft/2020-12/schema"

TYPE = "x-keystone-type"
"""The declared type of a property, as the YAML names it; `object` for nested fields."""

ON_TYPE_ERROR = "x-keystone-on-type-error"
"""`null` where a value that does not fit becomes null; what is nested goes by what is around it."""

FORMAT = "x-keystone-format"
"""How payloads are encoded: json, avro, protobuf."""

VERSION = "x-keystone-version"
"""Number of the published version; not part of what is compared."""

_OBJECT = "object"

_SCALARS: dict[Scalar, dict[str, Any]] = {
    Scalar.STRING: {"type": ["string", "null"]},
    Scalar.BOOLEAN: {"type": ["boolean", "null"]},
    Scalar.INT: {"type": ["integer", "null"], "minimum": -(2**31), "maximum": 2**31 - 1},
    Scalar.BIGINT: {"type": ["integer", "null"], "minimum": -(2**63), "maximum": 2**63 - 1},
    Scalar.FLOAT: {"type": ["number", "null"]},
    Scalar.DOUBLE: {"type": ["number", "null"]},
    Scalar.DATE: {"type": ["string", "null"], "format": "date"},
    Scalar.TIMESTAMP: {"type": ["string", "null"], "format": "date-time"},
}


@dataclass(frozen=True)
class Contract:
    """What a stream's events are promised to hold.

    Attributes:
        fields: the declared ones; None for a stream whose payload nobody describes.
        on_type_error: of fields that don't say.
    """

    stream: str
    fields: Struct | None
    format: PayloadFormat = "json"
    on_type_error: OnTypeError = OnTypeError.DEAD_LETTER

    @classmethod
    def of(cls, stream: StreamSpec) -> Contract:
        """Return the contract that a stream file declares."""
        return cls(stream.stream, stream.fields, stream.format, stream.on_type_error)

    @classmethod
    def read(cls, document: str) -> Contract:
        """Return the contract of a published document.

        Raises:
            ValueError: it is not one that `canonical` wrote.
        """
        try:
            schema = json.loads(document)
            fields = _fields(schema["properties"]) if "properties" in schema else None
            return cls(schema["title"], fields, schema[FORMAT], _policy(schema) or OnTypeError.DEAD_LETTER)
        except (KeyError, TypeError, AttributeError) as error:
            message = f"no document of a stream's schema: {error!r}"
            raise ValueError(message) from error

    def document(self, version: int | None = None) -> dict[str, Any]:
        """Return the JSON Schema (draft 2020-12); `version` is noted in it if given."""
        schema: dict[str, Any] = {"$schema": DRAFT, "title": self.stream, FORMAT: self.format}
        if version is not None:
            schema[VERSION] = version
        if self.on_type_error is OnTypeError.NULL:
            schema[ON_TYPE_ERROR] = "null"
        schema["type"] = "object"
        if self.fields is not None:
            schema["properties"] = _properties(self.fields)
        return schema

    def canonical(self) -> str:
        """Return the document without version, whose bytes depend on the contract only."""
        return json.dumps(self.document(), ensure_ascii=False, separators=(",", ":"))

    @property
    def digest(self) -> str:
        """SHA-256 of the canonical document: two contracts are the same version iff it is equal."""
        return hashlib.sha256(self.canonical().encode()).hexdigest()


def _properties(struct: Struct) -> dict[str, Any]:
    return {field.name: _property(field) for field in struct.fields}


def _property(field: Field) -> dict[str, Any]:
    said = {} if field.on_type_error is None else {ON_TYPE_ERROR: field.on_type_error.value}
    if isinstance(field.type, Struct):
        nested = _properties(field.type)
        return {"type": ["object", "null"], TYPE: _OBJECT, **said, "properties": nested}
    if isinstance(field.type, Array):
        items = _SCALARS[field.type.element]
        return {"type": ["array", "null"], TYPE: str(field.type), **said, "items": items}
    return {**_SCALARS[field.type], TYPE: str(field.type), **said}


def _fields(properties: dict[str, Any]) -> Struct:
    return Struct(tuple(Field(name, _type(each), _policy(each)) for name, each in properties.items()))


def _type(schema: dict[str, Any]) -> FieldType:
    name = schema[TYPE]
    if name == _OBJECT:
        return _fields(schema["properties"])
    if name.startswith("array<"):
        return Array(Scalar(name.removeprefix("array<").removesuffix(">")))
    return Scalar(name)


def _policy(schema: dict[str, Any]) -> OnTypeError | None:
    return OnTypeError(schema[ON_TYPE_ERROR]) if ON_TYPE_ERROR in schema else None
