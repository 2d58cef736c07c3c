"""Synthetic events: the same every time, decodable but for the share that is broken on purpose."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from itertools import islice

from keystone_platform.spec.models import StreamSpec
from keystone_platform.synthetic.events import Mix, SyntheticEvent, synthetic_events

NOW = datetime(2026, 11, 22, 10, 30, tzinfo=UTC)

STREAM = StreamSpec.model_validate(
    {
        "stream": "playback",
        "owner": "team:player",
        "schema": {"user_id": "bigint", "country": "string", "device": {"type": "string"}, "duration_ms": "bigint"},
        "routes": [{"sink": {"warehouse": {"table": "events.playback"}}}],
    }
)


class FixedClock:
    """Stands still."""

    def now(self) -> datetime:
        return NOW

    def sleep(self, seconds: float) -> None:
        raise NotImplementedError


def draw(count: int, mix: Mix) -> list[SyntheticEvent]:
    return list(islice(synthetic_events(STREAM, FixedClock(), mix), count))


def decodes(event: SyntheticEvent) -> bool:
    """Whether the payload is an object with the types of STREAM's schema."""
    try:
        document = json.loads(event.payload)
    except ValueError:
        return False
    return isinstance(document, dict) and isinstance(document["user_id"], int)


def test_the_same_seed_makes_the_same_events() -> None:
    assert draw(500, Mix(seed=1)) == draw(500, Mix(seed=1))
    assert draw(500, Mix(seed=1)) != draw(500, Mix(seed=2))


def test_events_decode_unless_broken_on_purpose() -> None:
    assert all(decodes(event) for event in draw(5_000, Mix(broken=0)))
    assert not any(decodes(event) for event in draw(500, Mix(broken=1)))
    broken = sum(not decodes(event) for event in draw(20_000, Mix(broken=0.01)))
    assert 100 < broken < 400


def test_events_differ_and_have_the_size_of_real_ones() -> None:
    payloads = [event.payload for event in draw(5_000, Mix())]
    assert len(set(payloads)) == len(payloads)
    assert 600 < sum(map(len, payloads)) / len(payloads) < 900


def test_late_events_are_in_the_hour_before_and_the_others_now() -> None:
    times = [event.time for event in draw(2_000, Mix(late=0.25))]
    late = [time for time in times if time != NOW]
    assert 350 < len(late) < 650
    assert {(time.day, time.hour) for time in late} <= {(22, 9)}
    assert len({time.minute for time in late}) > 30
