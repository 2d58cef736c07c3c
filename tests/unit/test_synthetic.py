"""Synthetic events: the same every time, decodable but for the share that is broken on purpose."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import uuid
from datetime import UTC, datetime
from itertools import islice

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keystone_platform.ndjson.pace import Shape
from keystone_platform.spec.models import StreamSpec
from keystone_platform.synthetic.events import Mix, SyntheticEvent, guid_prefix, number_of, synthetic_events
from keystone_platform.synthetic.shapes import Spike, Steady, Wave

NOW = datetime(2026, 11, 22, 10, 30, tzinfo=UTC)

STREAM = StreamSpec.model_validate(
    {
        "stream": "playback",
        "owner": "team:player",
        "schema": {"user_id": "bigint", "country": "string", "device": {"type": "string"}, "duration_ms": "bigint"},
        "routes": [{"sink": {"warehouse": {"table": "events.playback"}}}],
    }
)


def draw(count: int, mix: Mix) -> list[SyntheticEvent]:
    return list(islice(synthetic_events(STREAM, mix), count))


def decodes(event: SyntheticEvent) -> bool:
    """Whether the payload is an object with the types of STREAM's schema."""
    try:
        document = json.loads(event.payload)
    except ValueError:
        return False
    return isinstance(document, dict) and isinstance(document["user_id"], int)


def test_the_same_seed_makes_the_same_events_and_more_of_them_begin_alike() -> None:
    assert draw(500, Mix(seed=1)) == draw(700, Mix(seed=1))[:500]
    assert draw(500, Mix(seed=1)) != draw(500, Mix(seed=2))


def test_events_of_a_seed_are_what_they_were_when_this_was_written() -> None:
    """Whoever changes how events are made raises VERSION: else a landed set of before seems changed."""
    events = draw(2_000, Mix(seed=7, size_bytes=1_000, max_bytes=100_000))
    digest = hashlib.sha256(b"".join(event.guid.encode() + event.key + event.payload for event in events)).hexdigest()
    assert digest[:16] == "5a29be4818c2d119"


def test_a_guid_tells_the_number_and_by_its_beginning_what_made_it() -> None:
    events = draw(300, Mix())
    assert [number_of(event.guid) for event in events] == list(range(300))
    assert {uuid.UUID(event.guid).version for event in events} == {8}
    prefix = guid_prefix(STREAM, Mix())
    assert all(event.guid.startswith(prefix) for event in events)
    others = [dataclasses.replace(Mix(), **{name: 1}) for name in ("seed", "broken", "late", "size_bytes", "max_bytes")]
    wider = StreamSpec.model_validate(
        STREAM.model_dump(by_alias=True) | {"schema": {"user_id": "bigint"}, "stream": "playback"}
    )
    assert len({prefix, guid_prefix(wider, Mix()), *(guid_prefix(STREAM, mix) for mix in others)}) == 7


def test_events_decode_unless_broken_on_purpose() -> None:
    assert all(decodes(event) for event in draw(5_000, Mix(broken=0)))
    assert not any(decodes(event) for event in draw(500, Mix(broken=1)))
    broken = sum(not decodes(event) for event in draw(20_000, Mix(broken=0.01)))
    assert 100 < broken < 400


def test_events_differ_and_have_the_size_of_real_ones() -> None:
    payloads = [event.payload for event in draw(5_000, Mix())]
    assert len(set(payloads)) == len(payloads)
    assert 600 < sum(map(len, payloads)) / len(payloads) < 900


def test_sizes_have_the_average_that_was_asked_for_and_reach_far_beyond_it() -> None:
    most = 10 * 1024 * 1024
    sizes = [len(event.payload) for event in draw(100_000, Mix(size_bytes=4_096, max_bytes=most, broken=0))]
    assert sum(sizes) / len(sizes) == pytest.approx(4_096, rel=0.1)
    assert 1_000_000 < max(sizes) <= most
    assert 2_500 < sorted(sizes)[len(sizes) // 2] < 4_096
    capped = [len(event.payload) for event in draw(20_000, Mix(size_bytes=2_000, max_bytes=3_000, broken=0))]
    assert max(capped) <= 3_000


def test_late_events_are_in_the_hour_before_and_the_others_now() -> None:
    times = [event.time(NOW) for event in draw(2_000, Mix(late=0.25))]
    late = [time for time in times if time != NOW]
    assert 350 < len(late) < 650
    assert {(time.day, time.hour) for time in late} <= {(22, 9)} | {(22, 10)}
    assert all(time <= NOW.replace(minute=0) for time in late)
    assert len({time.minute for time in late}) > 30


SHAPES: list[Shape] = [Steady(50), Wave(50, 600), Wave(50, 600, 1.0), Spike(50, 60, 5, 10)]


@pytest.mark.parametrize("shape", SHAPES, ids=repr)
@given(first=st.floats(0, 1e6), more=st.floats(0, 1e4))
def test_what_is_due_never_gets_less(shape: Shape, first: float, more: float) -> None:
    assert shape.due(0) == 0
    assert shape.due(first + more) >= shape.due(first) - 1e-6


def test_a_wave_has_its_rate_on_average_and_its_peak_at_noon() -> None:
    wave = Wave(100, 600, 0.8)
    assert wave.due(600) == pytest.approx(60_000)
    assert wave.due(1_200) == pytest.approx(120_000)
    assert wave.due(301) - wave.due(300) == pytest.approx(180, rel=0.01)
    assert wave.due(1) == pytest.approx(20, rel=0.01)


def test_a_spike_multiplies_the_rate_at_the_end_of_each_minute() -> None:
    spike = Spike(100, 60, 5, 10)
    assert spike.due(55) == pytest.approx(5_500)
    assert spike.due(60) == pytest.approx(10_500)
    assert spike.due(120) - spike.due(60) == pytest.approx(10_500)
