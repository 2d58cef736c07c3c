"""What a change of a stream's schema breaks, by the rule that the stream declares.

Every field may be missing and unknown ones are ignored, so fields come and go freely: what counts is whether each value
that one schema lets through is the same value under the other.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from keystone_platform.schemas.document import Contract
from keystone_platform.spec.models import Compatibility
from keystone_platform.spec.types import Array, FieldType, Scalar, Struct

_WIDENS: dict[Scalar, frozenset[Scalar]] = {
    Scalar.BIGINT: frozenset({Scalar.INT}),
    Scalar.DOUBLE: frozenset({Scalar.INT, Scalar.FLOAT}),
}
"""Type to the narrower ones all of whose values it holds exactly."""

_NEVER = "none"


@dataclass(frozen=True)
class SchemaVersion:
    """A published version of a stream's schema.

    Attributes:
        version: from 1; a new one whenever the content is another than that of the newest.
        digest: of the content.
        document: the JSON Schema, canonical, without version.
        compatibility: the rule that it was published under.
    """

    stream: str
    version: int
    digest: str
    document: str
    compatibility: Compatibility
    published_at: datetime

    @property
    def contract(self) -> Contract:
        """The version's content."""
        return Contract.read(self.document)


@dataclass(frozen=True)
class Break:
    """A change that the rule does not allow.

    Attributes:
        field: its place in the stream file: `schema.device.type`, or `format`.
        version: the version that it contradicts.
    """

    field: str
    what: str
    mend: str
    version: int


def breaks(versions: Sequence[SchemaVersion], new: Contract, rule: Compatibility) -> tuple[Break, ...]:
    """Return what the new contract breaks, each field once, with the newest version that it contradicts.

    It is held to every version since the last that was published under `none`, that one included: a field that was
    taken out and comes back with another type would contradict events that the topic still holds.

    Args:
        versions: all that were published, oldest first.
        new: what is declared now.
        rule: the rule that is declared now.
    """
    if rule == _NEVER or (versions and versions[-1].digest == new.digest):
        return ()
    found: dict[str, Break] = {}
    for version in reversed(versions):
        for each in _between(version, new, rule):
            found.setdefault(each.field, each)
        if version.compatibility == _NEVER:
            break
    return tuple(found.values())


def _between(version: SchemaVersion, new: Contract, rule: Compatibility) -> Iterator[Break]:
    old = version.contract
    if old.fields is None or new.fields is None:
        return  # nobody was promised any field
    if old.format != new.format:
        what = f"payloads are {new.format}, and version {version.version} says {old.format}"
        yield Break("format", what, "Send them to another stream, or " + _WAIVER, version.version)
        return
    for path, before, after in _changed(old.fields, new.fields, ("schema",)):
        why = _refusal(before, after, rule)
        if why:
            what = f"{_shown(after)}, and version {version.version} says {_shown(before)}: {why}"
            mend = f"Keep {_shown(before)}, declare the value under another name, or {_WAIVER}"
            yield Break(".".join(path), what, mend, version.version)


_WAIVER = "set `compatibility: none` for this change if nobody reads the old events and nobody by the old schema."


def _refusal(before: FieldType, after: FieldType, rule: Compatibility) -> str:
    """Return what the change of type breaks under the rule; empty if nothing."""
    if rule in ("backward", "full") and not _holds(after, before):
        return f"`compatibility: {rule}` keeps the old events readable by the new schema"
    if rule in ("forward", "full") and not _holds(before, after):
        return f"`compatibility: {rule}` keeps the new events readable by the old schema"
    return ""


def _changed(old: Struct, new: Struct, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], FieldType, FieldType]]:
    """Yield the fields that both have, with types that differ; of objects only what is within them."""
    for field in new.fields:
        before = old.field(field.name)
        if before is None:
            continue
        place = (*path, field.name)
        if isinstance(before.type, Struct) and isinstance(field.type, Struct):
            yield from _changed(before.type, field.type, place)
        elif before.type != field.type:
            yield place, before.type, field.type


def _holds(reader: FieldType, writer: FieldType) -> bool:
    """Whether each value of the writer's type is the same value of the reader's."""
    if isinstance(reader, Array) and isinstance(writer, Array):
        return _holds(reader.element, writer.element)
    if isinstance(reader, Scalar) and isinstance(writer, Scalar):
        return reader is writer or writer in _WIDENS.get(reader, ())
    return False


def _shown(kind: FieldType) -> str:
    return "an object" if isinstance(kind, Struct) else str(kind)
