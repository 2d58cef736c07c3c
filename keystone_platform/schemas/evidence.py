"""Gathers, event by event, which fields there are and what they could be declared as. Holds counts, no values."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from keystone_platform.audit.decode import fits
from keystone_platform.audit.parse import DeadEvent, Reason, Repeated, parse
from keystone_platform.spec.types import Scalar

MOST_FIELDS = 1_000
"""Fields of one object that are told apart; where keys are data there is no end of them."""

SHOWN_PLACES = 20
"""Places of what was no event that are kept."""

OBJECT, ARRAY = "object", "array"

_CANDIDATES: dict[type, tuple[Scalar, ...]] = {
    bool: (Scalar.BOOLEAN,),
    str: (Scalar.DATE, Scalar.TIMESTAMP, Scalar.STRING),
}
_NUMBERS = (Scalar.BIGINT, Scalar.DOUBLE)
"""`int` and `float` are never proposed: the next values may be larger."""


@dataclass
class Seen:
    """One field, or the elements of an array.

    Attributes:
        present: how often it is there, null included.
        kinds: of the values that are not null: integer, number, string, boolean, object, array.
        first: place of the first value of each kind.
        fitting: how many values fit each type.
        objects: how many of the values are objects, and `fields` what is in them, in the order of their first coming.
        elements: of all arrays together.
        repeated: events in which the name occurs twice in one object.
        more: whether there are more fields than are told apart.
    """

    present: int = 0
    kinds: Counter[str] = field(default_factory=Counter)
    first: dict[str, str] = field(default_factory=dict)
    fitting: Counter[Scalar] = field(default_factory=Counter)
    fields: dict[str, Seen] = field(default_factory=dict)
    elements: Seen | None = None
    repeated: int = 0
    more: bool = False

    @property
    def values(self) -> int:
        """How often it has a value."""
        return self.kinds.total()

    def add(self, value: Any, place: str) -> None:  # noqa: ANN401 - any JSON
        """Take a value."""
        waiting: list[tuple[Seen, Any]] = [(self, value)]
        while waiting:  # no recursion: events may be nested deeper than Python's stack
            seen, each = waiting.pop()
            waiting += reversed([*seen._take(each, place)])

    def _take(self, value: Any, place: str) -> Iterator[tuple[Seen, Any]]:  # noqa: ANN401 - any JSON
        """Count the value itself and yield what is in it, each with its place of evidence."""
        self.present += 1
        if value is None:
            return
        kind = _kind(value)
        self.kinds[kind] += 1
        self.first.setdefault(kind, place)
        if kind == OBJECT:
            yield from self._fields_of(value)
        elif kind == ARRAY:
            self.elements = self.elements or Seen()
            yield from ((self.elements, element) for element in value)
        else:
            self.fitting.update(each for each in _CANDIDATES.get(type(value), _NUMBERS) if fits(value, each))

    def _fields_of(self, value: dict[str, Any]) -> Iterator[tuple[Seen, Any]]:
        for name, inner in value.items():
            seen = self.fields.get(name)
            if seen is None and len(self.fields) >= MOST_FIELDS:
                self.more = True
                continue
            seen = self.fields.setdefault(name, Seen())
            if isinstance(value, Repeated) and name in value.repeated:
                seen.repeated += 1
            yield seen, inner


@dataclass
class Evidence:
    """Events of one stream.

    Attributes:
        events: how many were JSON objects.
        top: what is in them.
        bad: how many were none, by reason.
        bad_places: the first of these, with their reasons.
    """

    events: int = 0
    top: Seen = field(default_factory=Seen)
    bad: Counter[str] = field(default_factory=Counter)
    bad_places: list[tuple[str, str]] = field(default_factory=list)

    def add(self, payload: bytes | None, place: str) -> None:
        """Take a payload; one that is no JSON object is counted with its place."""
        try:
            event = parse(payload)
        except DeadEvent as dead:
            self._refuse(place, dead.code)
            return
        if not isinstance(event, dict):
            self._refuse(place, Reason.NOT_OBJECT)
            return
        self.events += 1
        self.top.add(event, place)

    def _refuse(self, place: str, reason: Reason) -> None:
        self.bad[reason.value] += 1
        if len(self.bad_places) < SHOWN_PLACES:
            self.bad_places.append((place, reason.value))


def _kind(value: Any) -> str:  # noqa: ANN401 - any JSON
    match value:
        case bool():
            return "boolean"
        case str():
            return "string"
        case dict():
            return OBJECT
        case list():
            return ARRAY
        case float():
            return "number"
        case _:
            return "integer"
