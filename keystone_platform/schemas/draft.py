"""From evidence to a stream file that the loader accepts, with what is known of each field beside it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from keystone_platform.schemas.evidence import ARRAY, OBJECT, Evidence, Seen
from keystone_platform.spec.schema import MAX_DEPTH, schema_problems
from keystone_platform.spec.types import Array, FieldType, Scalar, Struct
from keystone_platform.spec.types import Field as SchemaField

_PREFERENCE = (Scalar.BOOLEAN, Scalar.BIGINT, Scalar.DOUBLE, Scalar.DATE, Scalar.TIMESTAMP, Scalar.STRING)
"""Of types that fit equally many values the first."""

_DATA_KEYS = 100
_DATA_SHARE = 0.1
"""An object with more keys, none of them in a larger share of its occurrences: its keys are data, not names."""


@dataclass(frozen=True)
class DraftedField:
    """One field of the draft.

    Attributes:
        path: names from the top.
        type: None where it can't be declared; it is a comment in the YAML then.
        share: of the objects that it belongs to, how many have it.
        null_share: of these, in how many it is null.
        note: what does not fit, or why it can't be declared; empty when there is nothing to say.
    """

    path: tuple[str, ...]
    type: FieldType | None
    share: float
    null_share: float
    note: str
    inner: tuple[DraftedField, ...] = ()

    def as_json(self) -> dict[str, object]:
        """Return it as JSON values, without what is within."""
        shown = "object" if isinstance(self.type, Struct) else self.type and str(self.type)
        return {
            "field": ".".join(self.path),
            "type": shown,
            "share": round(self.share, 4),
            "null_share": round(self.null_share, 4),
            "note": self.note or None,
        }


@dataclass(frozen=True)
class Draft:
    """A stream file to be."""

    stream: str
    owner: str
    table: str
    source: str
    evidence: Evidence
    fields: tuple[DraftedField, ...]

    def yaml(self) -> str:
        """Return the stream file."""
        bad = self.evidence.bad.total()
        lines = [
            "# yaml-language-server: $schema=stream.schema.json",
            f"# Drafted from {self.evidence.events:,} events of {_line(self.source)}"
            + (f"; {bad:,} more were no JSON object" if bad else "")
            + ".",
            "# Beside a field: the share of events, of objects where it is nested, that have it. Check all of it.",
            f"stream: {self.stream}",
            f"owner: {self.owner}",
        ]
        declared = [*_schema_lines(self.fields, 1)]
        if any(not text.lstrip().startswith("#") for text, _ in declared):
            lines += ["schema:", *_aligned(declared)]
        else:
            lines += ["# schema: no field can be declared", *_aligned(declared)]
        return "\n".join([*lines, "routes:", f"  - sink: {{warehouse: {{table: {self.table}}}}}"]) + "\n"

    def as_json(self) -> dict[str, object]:
        """Return draft and evidence as JSON values."""
        return {
            "stream": self.stream,
            "source": self.source,
            "events": self.evidence.events,
            "bad": dict(self.evidence.bad),
            "bad_places": [{"place": place, "reason": reason} for place, reason in self.evidence.bad_places],
            "fields": [each.as_json() for each in flat(self.fields)],
            "yaml": self.yaml(),
        }


def draft(evidence: Evidence, *, stream: str, owner: str, table: str, source: str) -> Draft:
    """Return a draft; the loader accepts its YAML if it accepts these names."""
    fields = _fields(evidence.top, evidence.events, ())
    return Draft(stream, owner, table, source, evidence, fields)


def flat(fields: Sequence[DraftedField]) -> Iterator[DraftedField]:
    """Yield the fields and all within them, outer ones first."""
    for each in fields:
        yield each
        yield from flat(each.inner)


def _fields(seen: Seen, objects: int, path: tuple[str, ...]) -> tuple[DraftedField, ...]:
    by_case: dict[str, str] = {}
    for name, inner in seen.fields.items():
        best = by_case.setdefault(name.lower(), name)
        if inner.present > seen.fields[best].present:
            by_case[name.lower()] = name
    return tuple(_field(inner, objects, (*path, name), by_case[name.lower()]) for name, inner in seen.fields.items())


def _field(seen: Seen, objects: int, path: tuple[str, ...], spelled: str) -> DraftedField:
    type_: FieldType | None = None
    inner: tuple[DraftedField, ...] = ()
    notes = []
    if problem := next(schema_problems({path[-1]: Scalar.STRING}), None):
        notes.append(f"can't be declared: {problem.what}")
    elif spelled != path[-1]:
        notes.append(f"can't be declared beside {spelled!r}, which differs only by case")
    else:
        type_, inner, note = _type(seen, path)
        notes.append(note)
    if seen.repeated:
        notes.append(f"twice in one object in {seen.repeated:,} events, which would be dead letters")
    null_share = 1 - seen.values / seen.present
    return DraftedField(path, type_, seen.present / max(objects, 1), null_share, "; ".join(filter(None, notes)), inner)


def _type(seen: Seen, path: tuple[str, ...]) -> tuple[FieldType | None, tuple[DraftedField, ...], str]:
    """Return the type that takes the most values, the fields within it, and what to know of it."""
    if not seen.values:
        return None, (), "never has a value"
    best, count = _best(seen)
    if not count:
        return None, (), "no type takes any of its values"
    note = "" if count == seen.values else _conflict(seen, best)
    if best == OBJECT:
        return _object(seen, path, note)
    if best == ARRAY:
        return _array(seen, note)
    return Scalar(best), (), note


def _best(seen: Seen) -> tuple[str, int]:
    counts = [(str(kind), seen.fitting[kind]) for kind in _PREFERENCE]
    counts += [(OBJECT, seen.kinds[OBJECT]), (ARRAY, seen.kinds[ARRAY])]
    return max(counts, key=lambda each: each[1])


def _conflict(seen: Seen, best: str) -> str:
    kinds = ", ".join(
        f"{kind} {_percent(count / seen.values)} (first at {_line(seen.first[kind])})"
        for kind, count in seen.kinds.most_common()
    )
    return f"values do not all fit {best}: {kinds}"


def _object(seen: Seen, path: tuple[str, ...], note: str) -> tuple[FieldType | None, tuple[DraftedField, ...], str]:
    objects = seen.kinds[OBJECT]
    if len(path) >= MAX_DEPTH:
        return None, (), f"an object, and {MAX_DEPTH} levels are the most"
    if len(seen.fields) > _DATA_KEYS and max(each.present for each in seen.fields.values()) < _DATA_SHARE * objects:
        return None, (), f"an object whose keys look like data: {'over ' * seen.more}{len(seen.fields):,} of them"
    inner = _fields(seen, objects, path)
    declared = tuple(SchemaField(each.path[-1], each.type) for each in inner if each.type)
    if not declared:
        return None, inner, "an object without a field that can be declared"
    return Struct(declared), inner, note


def _array(seen: Seen, note: str) -> tuple[FieldType | None, tuple[DraftedField, ...], str]:
    elements = seen.elements
    if elements is None or not elements.values:
        return None, (), "an array that never has a value in it"
    best, count = _best(elements)
    if not count:
        return None, (), "an array none of whose elements any type takes"
    if best in (OBJECT, ARRAY):
        return None, (), f"an array of {best}s, which can't be declared"
    within = "" if count == elements.values else f"elements: {_conflict(elements, best)}"
    return Array(Scalar(best)), (), "; ".join(filter(None, (note, within)))


def _schema_lines(fields: Sequence[DraftedField], level: int) -> Iterator[tuple[str, str]]:
    """Yield each line of the schema with its comment."""
    indent = "  " * level
    for each in fields:
        name = _line(each.path[-1])
        said = [_percent(each.share), f"null in {_percent(each.null_share)}" if each.null_share else "", each.note]
        comment = ", ".join(filter(None, said))
        if each.type is None:
            yield f"{indent}# {name}:", comment
        elif isinstance(each.type, Struct):
            yield f"{indent}{name}:", comment
            yield from _schema_lines(each.inner, level + 1)
        else:
            yield f"{indent}{name}: {each.type}", comment


def _aligned(lines: Sequence[tuple[str, str]]) -> list[str]:
    width = min(max((len(text) for text, _ in lines), default=0), 48)
    return [f"{text.ljust(width)}  # {comment}" for text, comment in lines]


def _percent(share: float) -> str:
    if 0 < share < 0.01:
        return "under 1 %"
    return "99 %" if 0.99 < share < 1 else f"{share:.0%}".replace("%", " %")


def _line(text: str) -> str:
    """Return text that stays on one line of a comment whatever is in it."""
    shown = text if len(text) <= 80 else f"{text[:77]}…"
    return shown if shown.isprintable() and shown else ascii(shown)
