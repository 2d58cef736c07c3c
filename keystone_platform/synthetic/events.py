"""Endless believable events of a declared stream.

A pure function of stream and mix, and fast enough that the broker is what limits a run.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from random import Random

from keystone_platform.schemas.document import Contract
from keystone_platform.spec.models import StreamSpec
from keystone_platform.spec.types import Field, Scalar, Struct
from keystone_platform.synthetic.sizes import LARGE_SHARE, Sizes
from keystone_platform.synthetic.vocabulary import JsonValue, draw_context, draw_struct

TEMPLATES = 2048
"""Distinct documents that are rendered once; each event varies one of them."""

VERSION = 1
"""Of how events are made; another one makes others of the same seed, under other guids."""

_VARIED = "<varied>"
_SEQUENCE = "<sequence>"
_VALUES = 250_000
_SLACK = 64 * 1024
_FRAME = 40
"""What padding, number and id take beside a template, at most."""

_AROUND = datetime(2026, 1, 1, 12, tzinfo=UTC)


@dataclass(frozen=True)
class Mix:
    """What the events are like. The same mix of the same declared schema makes the same events.

    Attributes:
        broken: share of events that no router can decode.
        late: share of events that happened in the hour before the one in which they are sent.
        size_bytes: of payloads on average, reached with text that no schema declares; what is declared is never cut.
        max_bytes: of the largest payloads; no more than `size_bytes`: all have that size.
        around: the timestamps in payloads are of the half hour before.
    """

    seed: int = 20_160_901
    broken: float = 0.001
    late: float = 0.2
    size_bytes: int = 750
    max_bytes: int = 0
    around: datetime = _AROUND


@dataclass(frozen=True, slots=True)
class SyntheticEvent:
    """An event that was not sent yet.

    Attributes:
        number: from 0.
        key: the value of the id that varies from event to event, as text.
        late: None, or where in the hour before it happened, from 0 (its end) to below 1.
    """

    number: int
    guid: str
    key: bytes
    payload: bytes
    late: float | None

    def time(self, now: datetime) -> datetime:
        """Return when it happened if it is sent now."""
        if self.late is None:
            return now
        return now.replace(minute=0, second=0, microsecond=0) - timedelta(seconds=self.late * 3600)


@dataclass(frozen=True)
class _Template:
    """A rendered document, cut where an event varies it; padding goes before it."""

    head: bytes
    middle: bytes
    tail: bytes

    @property
    def size(self) -> int:
        return len(self.head) + len(self.middle) + len(self.tail) + _FRAME

    def render(self, padding: bytes, varied: bytes, sequence: int) -> bytes:
        if padding:
            parts = (b'{"digest":"', padding, b'",', self.head, varied, self.middle, b"%d" % sequence, self.tail)
        else:
            parts = (b"{", b"", b"", self.head, varied, self.middle, b"%d" % sequence, self.tail)
        return b"".join(parts)


def synthetic_events(stream: StreamSpec, mix: Mix | None = None) -> Iterator[SyntheticEvent]:
    """Yield events of the stream for ever; the first n are the same whenever and wherever it is called.

    A guid tells the event's number (`number_of`), and by its beginning stream, schema and mix.
    """
    mix = mix or Mix()
    random = Random(f"{mix.seed}/{stream.stream}")
    schema = stream.fields or Struct(())
    field = varied_field(schema)
    templates = [_template(schema, field, mix, random) for _ in range(TEMPLATES)]
    sizes = Sizes(mix.size_bytes, mix.max_bytes)
    usual = sizes.usual(random)
    pool = random.randbytes((max(mix.size_bytes, mix.max_bytes) + _SLACK) // 2).hex().encode()
    large_share = LARGE_SHARE if sizes.has_large and not sizes.is_constant else 0.0
    prefix = guid_prefix(stream, mix)
    draw = random.random
    number = 0
    while True:
        template = templates[int(draw() * TEMPLATES)]
        size = sizes.large(draw()) if draw() < large_share else usual[int(draw() * len(usual))]
        wanted, offset = size - template.size, int(draw() * _SLACK)
        padding = pool[offset : offset + wanted] if wanted > 0 else b""
        varied = b"%d" % int(draw() * _VALUES)
        payload = template.render(padding, varied, number)
        if draw() < mix.broken:
            payload = _broken(template, payload, padding, number, random.randrange(3 if field else 2))
        late = draw() if draw() < mix.late else None
        yield SyntheticEvent(number, f"{prefix}{number:012x}", varied, payload, late)
        number += 1


def guid_prefix(stream: StreamSpec, mix: Mix) -> str:
    """Return how the guids of these events begin: 24 of 36 characters of a UUIDv8, which stand for what makes them."""
    made_of = [VERSION, Contract.of(stream).document(), {**asdict(mix), "around": mix.around.isoformat()}]
    digest = hashlib.sha256(json.dumps(made_of, sort_keys=True).encode()).hexdigest()
    return f"{digest[:8]}-{digest[8:12]}-8{digest[12:15]}-8{digest[15:18]}-"


def number_of(guid: str) -> int:
    """Return the number of a synthetic event."""
    return int(guid[24:], 16)


def varied_field(schema: Struct) -> Field | None:
    """Return the number that differs from event to event and is the key: an id where there is one."""
    whole = [field for field in schema.fields if field.type in (Scalar.BIGINT, Scalar.INT)]
    return next((field for field in whole if field.name.endswith("_id")), None)


def _template(schema: Struct, varied: Field | None, mix: Mix, random: Random) -> _Template:
    document: dict[str, JsonValue] = draw_struct(schema, mix.around, random)
    document[varied.name if varied else "nonce"] = _VARIED
    # to the end, so that a payload that was cut is broken after the fields that routers read
    document |= {"client": draw_context(random), "sequence": _SEQUENCE}
    text = json.dumps(document, separators=(",", ":"), ensure_ascii=False)
    head, rest = text.removeprefix("{").split(f'"{_VARIED}"')
    middle, tail = rest.split(f'"{_SEQUENCE}"')
    return _Template(head.encode(), middle.encode(), tail.encode())


def _broken(template: _Template, payload: bytes, padding: bytes, sequence: int, kind: int) -> bytes:
    """Return what real producers send by mistake: a cut payload, another shape, text where a number belongs."""
    if kind == 0:
        return payload[: len(payload) * 2 // 3]
    if kind == 1:
        return b"[%b]" % payload
    return template.render(padding, b'"unknown"', sequence)
