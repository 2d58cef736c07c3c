"""A sender's pace: no event before it is due, none into a buffer that is half full, and an end when one is wished."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from keystone_platform.ndjson.pace import BUFFER_BYTES, Pace
from keystone_platform.ndjson.stop import Stop
from keystone_platform.synthetic.shapes import Steady


class Moving:
    """A clock that moves when somebody sleeps."""

    def __init__(self) -> None:
        self.at = datetime(2026, 11, 28, tzinfo=UTC)
        self.on_sleep: Callable[[], object] = lambda: None

    def now(self) -> datetime:
        return self.at

    def sleep(self, seconds: float) -> None:
        self.at += timedelta(seconds=seconds)
        self.on_sleep()


class Buffer:
    """As much of a producer as a pace looks at."""

    buffer_bytes = 0


def paced(clock: Moving, buffer: Buffer, shape: Steady | None, stop: Stop) -> Pace:
    return Pace(buffer, clock, shape, stop, lambda: None)  # type: ignore[arg-type]


def test_events_go_when_they_are_due() -> None:
    clock, stop = Moving(), Stop()
    began = clock.at
    pace = paced(clock, Buffer(), Steady(100), stop)
    assert all(pace.turn() for _ in range(300))
    assert timedelta(seconds=2.9) < clock.at - began < timedelta(seconds=3.1)


def test_a_buffer_that_is_half_full_holds_the_sender_back_until_there_is_room() -> None:
    clock, buffer = Moving(), Buffer()
    buffer.buffer_bytes = BUFFER_BYTES // 2 + 1
    clock.on_sleep = lambda: setattr(buffer, "buffer_bytes", 0)
    began = clock.at
    assert paced(clock, buffer, None, Stop()).turn()
    assert clock.at > began


def test_a_wish_to_stop_ends_the_waiting() -> None:
    clock, stop = Moving(), Stop()
    clock.on_sleep = lambda: setattr(stop, "asked", True)
    assert not paced(clock, Buffer(), Steady(0.001), stop).turn()
