"""Endless believable events of a declared stream, fast enough that the broker is what limits a run."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from random import Random

from keystone_platform.gateways.clock import Clock
from keystone_platform.spec.models import StreamSpec
from keystone_platform.spec.types import Field, Scalar, Struct
from keystone_platform.synthetic.vocabulary import JsonValue, draw_context, draw_struct

TEMPLATES = 2048
"""Distinct documents that are rendered once; each event varies one of them."""

_VARIED = "<varied>"
_SEQUENCE = "<sequence>"


@dataclass(frozen=True)
class Mix:
    """What the events are like.

    Attributes:
        seed: the same seed, stream and clock make the same events.
        broken: share of events that no router can decode.
        late: share of events that happened in the hour before the current one.
        size_bytes: a payload's usual size, reached with text that no schema declares.
    """

    seed: int = 20_160_901
    broken: float = 0.001
    late: float = 0.2
    size_bytes: int = 750


@dataclass(frozen=True, slots=True)
class SyntheticEvent:
    """A payload and when it happened."""

    payload: bytes
    time: datetime


@dataclass(frozen=True)
class _Template:
    """A rendered document, cut where an event varies it."""

    head: bytes
    middle: bytes
    tail: bytes

    def render(self, varied: bytes, sequence: int) -> bytes:
        return b"%b%b%b%d%b" % (self.head, varied, self.middle, sequence, self.tail)


def synthetic_events(stream: StreamSpec, clock: Clock, mix: Mix | None = None) -> Iterator[SyntheticEvent]:
    """Yield events of the stream for ever, each of the time that the clock shows or of the hour before."""
    mix = mix or Mix()
    random = Random(f"{mix.seed}/{stream.stream}")
    schema = stream.fields or Struct(())
    field = _varied_field(schema)
    templates = [_template(schema, field, clock.now(), mix.size_bytes, random) for _ in range(TEMPLATES)]
    sequence = 0
    while True:
        sequence += 1
        template = templates[int(random.random() * TEMPLATES)]
        payload = template.render(b"%d" % int(random.random() * 250_000), sequence)
        if random.random() < mix.broken:
            payload = _broken(template, payload, sequence, random)
        now = clock.now()
        time = _hour_before(now, random) if random.random() < mix.late else now
        yield SyntheticEvent(payload, time)


def _varied_field(schema: Struct) -> Field | None:
    """Return the number that differs from event to event: an id where there is one."""
    whole = [field for field in schema.fields if field.type in (Scalar.BIGINT, Scalar.INT)]
    return next((field for field in whole if field.name.endswith("_id")), None)


def _template(schema: Struct, varied: Field | None, now: datetime, size_bytes: int, random: Random) -> _Template:
    document: dict[str, JsonValue] = draw_struct(schema, now, random)
    document[varied.name if varied else "nonce"] = _VARIED
    # to the end, so that a payload that was cut is broken after the fields that routers read
    document |= {"client": draw_context(random), "sequence": _SEQUENCE}
    padding = size_bytes - len(json.dumps(document, ensure_ascii=False)) - len('"digest": "", ')
    if padding > 0:
        document = {"digest": f"{random.getrandbits(4 * padding):0{padding}x}", **document}
    text = json.dumps(document, separators=(",", ":"), ensure_ascii=False)
    head, rest = text.split(f'"{_VARIED}"')
    middle, tail = rest.split(f'"{_SEQUENCE}"')
    return _Template(head.encode(), middle.encode(), tail.encode())


def _hour_before(now: datetime, random: Random) -> datetime:
    this_hour = now.replace(minute=0, second=0, microsecond=0)
    return this_hour - timedelta(seconds=random.random() * 3600)


def _broken(template: _Template, payload: bytes, sequence: int, random: Random) -> bytes:
    """Return what real producers send by mistake: a cut payload, text where a number belongs, another shape."""
    kind = random.randrange(3)
    if kind == 0:
        return payload[: len(payload) * 2 // 3]
    if kind == 1:
        return template.render(b'"unknown"', sequence)
    return b"[%b]" % payload
