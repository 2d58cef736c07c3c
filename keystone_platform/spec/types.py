"""Types of declared columns: the closed set that a stream's schema may use."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Scalar(StrEnum):
    """A scalar column type, by the name that the YAML uses."""

    STRING = "string"
    BOOLEAN = "boolean"
    INT = "int"
    BIGINT = "bigint"
    FLOAT = "float"
    DOUBLE = "double"
    DATE = "date"
    TIMESTAMP = "timestamp"
    """A point in time (UTC, microseconds); JSON text in ISO 8601."""


@dataclass(frozen=True)
class Struct:
    """A nested object; `fields` in declared order, names unique."""

    fields: tuple[Field, ...]

    def field(self, name: str) -> Field | None:
        """Return the field of that name, or None."""
        return next((field for field in self.fields if field.name == name), None)

    def at(self, path: tuple[str, ...]) -> FieldType | None:
        """Return the type of the field at that path, or None."""
        here: FieldType | None = self
        for name in path:
            field = here.field(name) if isinstance(here, Struct) else None
            here = field.type if field else None
        return here

    def __str__(self) -> str:
        return "{" + ", ".join(str(field) for field in self.fields) + "}"


@dataclass(frozen=True)
class Array:
    """A list of scalars, in order; elements may be null."""

    element: Scalar

    def __str__(self) -> str:
        return f"array<{self.element}>"


FieldType = Scalar | Struct | Array


class OnTypeError(StrEnum):
    """What becomes of a value that does not fit its declared type."""

    DEAD_LETTER = "dead_letter"
    """The event is a dead letter."""
    NULL = "null"
    """The value is null and the event goes on."""


@dataclass(frozen=True)
class Field:
    """A named, typed field of an event; `on_type_error` is None where what is around it decides."""

    name: str
    type: FieldType
    on_type_error: OnTypeError | None = None

    def __str__(self) -> str:
        return f"{self.name}: {self.type}"
