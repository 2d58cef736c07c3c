"""What fields events really have, and of which types: gathered event by event, compared with what is declared."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from keystone_platform.audit.decode import fits
from keystone_platform.spec.schema import schema_problems
from keystone_platform.spec.types import FieldType, Scalar, Struct

MOST_FIELDS = 1_000
"""Undeclared fields of one object that are told apart: an object whose keys are data has them without bound."""

_CANDIDATES: dict[type, tuple[Scalar, ...]] = {
    bool: (Scalar.BOOLEAN,),
    str: (Scalar.DATE, Scalar.TIMESTAMP, Scalar.STRING),
}
_NUMBERS = (Scalar.BIGINT, Scalar.DOUBLE)
"""Types to suggest, the narrowest first. `int` and `float` are not: the next values may be larger."""

_PREFERENCE = (Scalar.BOOLEAN, Scalar.BIGINT, Scalar.DOUBLE, Scalar.DATE, Scalar.TIMESTAMP, Scalar.STRING)


@dataclass(frozen=True)
class Undeclared:
    """A field that events have and the stream does not declare.

    Attributes:
        type: the type to declare it with; `mixed (…)` where none fits all values, `null` where there are none.
        share: of the events that are JSON objects, how many have it.
        declarable: whether its name can be declared.
    """

    field: str
    type: str
    share: float
    declarable: bool


@dataclass(frozen=True)
class Contradicted:
    """A declared field whose type some values do not fit.

    Attributes:
        fits: a type that takes every value that was seen; None if there is none.
        share: of the values that are not null, how many do not fit.
        example: place of an event with such a value.
    """

    field: str
    declared: str
    fits: str | None
    found: str
    events: int
    share: float
    example: str


@dataclass(frozen=True)
class Differences:
    """What sets a stream's schema apart from its events.

    Attributes:
        objects: how many events are JSON objects; nothing is known of the fields of others.
        never_seen: declared fields that no event has.
        only_null: declared fields that events have, but never with a value.
        more: whether events have more undeclared fields than are told.
    """

    objects: int
    undeclared: tuple[Undeclared, ...]
    never_seen: tuple[str, ...]
    only_null: tuple[str, ...]
    contradicted: tuple[Contradicted, ...]
    more: bool


class Profile:
    """Gathers the fields of events of one stream; holds counts, never values."""

    def __init__(self, schema: Struct | None) -> None:
        self._schema = schema or Struct(())
        self._top = _Seen()

    def add(self, event: dict[str, Any], place: str) -> None:
        """Take an event's object, and the place to name as an example."""
        self._top.add(event, self._schema, place)

    def differences(self) -> Differences:
        """Compare what was added with the schema."""
        found = _Comparison(self._top.values)
        found.compare(self._top, self._schema, ())
        return Differences(
            objects=self._top.values,
            undeclared=tuple(sorted(found.undeclared, key=lambda each: (-each.share, each.field))),
            never_seen=tuple(found.never_seen),
            only_null=tuple(found.only_null),
            contradicted=tuple(found.contradicted),
            more=found.more,
        )


class _Seen:
    """One field of the events: how often it is there, what its values could be declared as, and its own fields."""

    def __init__(self) -> None:
        self.present = 0
        self.values = 0
        self.kinds: Counter[str] = Counter()
        self.taken: Counter[Scalar] = Counter()
        self.misfits = 0
        self.misfit_at = ""
        self.fields: dict[str, _Seen] = {}
        self.elements: _Seen | None = None
        self.more = False

    def add(self, value: Any, declared: FieldType | None, place: str) -> None:  # noqa: ANN401 - any JSON
        self.present += 1
        if value is None:
            return
        self.values += 1
        self.kinds[_kind(value)] += 1
        self.taken.update(kind for kind in _CANDIDATES.get(type(value), _NUMBERS) if fits(value, kind))
        if declared is not None and not (
            isinstance(value, dict) if isinstance(declared, Struct) else fits(value, declared)
        ):
            self.misfits += 1
            self.misfit_at = self.misfit_at or place
        if isinstance(value, dict):
            self._add_fields(value, declared, place)
        elif isinstance(value, list):
            self.elements = self.elements or _Seen()
            for element in value:
                self.elements.add(element, None, place)

    def _add_fields(self, value: dict[str, Any], declared: FieldType | None, place: str) -> None:
        known = {field.name: field.type for field in declared.fields} if isinstance(declared, Struct) else {}
        for name, inner in value.items():
            seen = self.fields.get(name)
            if seen is None:
                if name not in known and len(self.fields) >= MOST_FIELDS + len(known):
                    self.more = True
                    continue
                seen = self.fields[name] = _Seen()
            seen.add(inner, known.get(name), place)

    def type(self) -> str | None:
        """Return a type that fits every value; None if there is none."""
        if set(self.kinds) == {"object"}:
            return "{" + ", ".join(f"{name}: {inner.described()}" for name, inner in self.fields.items()) + "}"
        if set(self.kinds) == {"array"} and self.elements is not None:
            element = self.elements.type()
            return f"array<{element}>" if element in set(Scalar) else None
        return next((kind for kind in _PREFERENCE if self.values and self.taken[kind] == self.values), None)

    def described(self) -> str:
        """Return the type to declare, or what was seen where no type fits."""
        if not self.values:
            return "null"
        return self.type() or (f"mixed ({self.found()})" if len(self.kinds) > 1 else self.found())

    def found(self) -> str:
        """Return what was seen, with shares where it is more than one thing."""
        if len(self.kinds) <= 1:
            return next(iter(self.kinds), "null")
        return ", ".join(f"{kind} {count / self.values:.0%}" for kind, count in self.kinds.most_common())


class _Comparison:
    """Walks what was seen beside what is declared."""

    def __init__(self, objects: int) -> None:
        self._objects = max(objects, 1)
        self.undeclared: list[Undeclared] = []
        self.never_seen: list[str] = []
        self.only_null: list[str] = []
        self.contradicted: list[Contradicted] = []
        self.more = False

    def compare(self, seen: _Seen, declared: Struct, path: tuple[str, ...]) -> None:
        self.more = self.more or seen.more
        for field in declared.fields:
            name = ".".join((*path, field.name))
            inner = seen.fields.get(field.name)
            if inner is None:
                self.never_seen.append(name)
            elif not inner.values:
                self.only_null.append(name)
            else:
                self.contradicted += _contradicted(name, inner, field.type)
                if isinstance(field.type, Struct):
                    self.compare(inner, field.type, (*path, field.name))
        known = {field.name for field in declared.fields}
        for key, inner in seen.fields.items():
            if key not in known:
                shown = key if key.isprintable() else repr(key)
                share = inner.present / self._objects
                declarable = not any(schema_problems({key: Scalar.STRING}))
                self.undeclared.append(Undeclared(".".join((*path, shown)), inner.described(), share, declarable))


def _contradicted(name: str, seen: _Seen, declared: FieldType) -> Iterator[Contradicted]:
    if seen.misfits:
        share = seen.misfits / seen.values
        yield Contradicted(name, str(declared), seen.type(), seen.found(), seen.misfits, share, example=seen.misfit_at)


def _kind(value: Any) -> str:  # noqa: ANN401 - any JSON
    match value:
        case bool():
            return "boolean"
        case str():
            return "string"
        case dict():
            return "object"
        case list():
            return "array"
        case float():
            return "fraction"
        case _:
            return "integer"
