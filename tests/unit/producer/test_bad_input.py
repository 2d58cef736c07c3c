"""Whatever is wrong with an event is counted and told, and never an exception in the middle of the caller's request."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from typing import Any

import pytest

from keystone_platform.producer import Counts, Delivery, DropReason, EventDropped, Place, Problem, Terms
from keystone_platform.producer.accounting import UNKNOWN
from keystone_platform.producer.terms import StreamTerms
from tests.unit.producer.clients import nowhere, stand_in

NOW = datetime.now(UTC)

BAD: list[tuple[DropReason, tuple[Any, ...], dict[str, Any]]] = [
    (DropReason.NOT_BYTES, ("s", 5), {}),
    (DropReason.NOT_BYTES, ("s", "text"), {}),
    (DropReason.NOT_BYTES, ("s", None), {}),
    (DropReason.NOT_BYTES, ("s", bytearray(b"{}")), {}),
    (DropReason.NOT_BYTES, ("s", b"{}", "key"), {}),
    (DropReason.TOO_LARGE, ("s", bytes(10 * 1024 * 1024 + 1)), {}),
    (DropReason.BAD_TIME, ("s", b"{}"), {"time": datetime(2026, 1, 1)}),
    (DropReason.BAD_TIME, ("s", b"{}"), {"time": 1_700_000_000}),
    (DropReason.BAD_TIME, ("s", b"{}"), {"time": datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=5)))}),
    (DropReason.BAD_ATTRIBUTE, ("s", b"{}"), {"Bad_Name": "x"}),
    (DropReason.BAD_ATTRIBUTE, ("s", b"{}"), {"id": "mine"}),
    (DropReason.BAD_ATTRIBUTE, ("s", b"{}"), {"trace": 5}),
    (DropReason.BAD_ATTRIBUTE, ("s", b"{}"), {"trace": "\ud800"}),
    (DropReason.BAD_ATTRIBUTE, ("s", b"{}"), {"trace": "x" * 300_000}),
    (DropReason.UNKNOWN_STREAM, ("nobody", b"{}"), {}),
    (DropReason.UNKNOWN_STREAM, (None, b"{}"), {}),
    (DropReason.UNKNOWN_STREAM, (["s"], b"{}"), {}),
    (DropReason.INVALID, ("s", b"bad"), {}),
]


def objection(stream: str, payload: bytes) -> str | None:
    return f"not of {stream}" if payload == b"bad" else None


@pytest.mark.parametrize(("reason", "arguments", "named"), BAD)
def test_a_bad_event_is_counted_told_and_raises_nothing(
    reason: DropReason, arguments: tuple[Any, ...], named: dict[str, Any]
) -> None:
    problems: list[Problem] = []
    told: list[Delivery] = []
    producer = nowhere(terms=Terms({"s": StreamTerms("s")}), validate=objection, on_problem=problems.append)
    guid = producer.send(*arguments, **named, on_delivery=told.append)
    assert producer.counts() == Counts(1, 0, {reason: 1})
    assert producer.buffer_bytes == 0
    stream = UNKNOWN if reason is DropReason.UNKNOWN_STREAM else "s"
    assert list(producer.counts_by_place()) == [Place(stream, "primary")]
    mine = [problem for problem in problems if problem.kind == reason.value]
    assert [(problem.stream, problem.events) for problem in mine] == [(stream, 1)]
    assert [(each.guid, each.dropped) for each in told] == [(guid, reason)]
    producer.close(0)


@pytest.mark.parametrize(("reason", "arguments", "named"), BAD)
def test_a_strict_producer_raises_and_counts_the_same(
    reason: DropReason, arguments: tuple[Any, ...], named: dict[str, Any]
) -> None:
    producer = nowhere(terms=Terms({"s": StreamTerms("s")}), validate=objection, strict=True)
    with pytest.raises(EventDropped) as raised:
        producer.send(*arguments, **named)
    assert raised.value.reason is reason
    assert producer.close(0) == Counts(1, 0, {reason: 1})


def test_a_good_event_goes_on_beside_bad_ones() -> None:
    with stand_in(validate=objection) as producer:
        producer.send("s", b"bad")
        producer.send("s", b"good")
        producer.send("s", 5)  # type: ignore[arg-type]
        assert producer.close(20) == Counts(3, 1, {DropReason.INVALID: 1, DropReason.NOT_BYTES: 1})


def test_one_kind_of_problem_is_told_once_a_minute_with_its_number(caplog: pytest.LogCaptureFixture) -> None:
    problems: list[Problem] = []
    producer = nowhere(on_problem=problems.append)
    with caplog.at_level(logging.WARNING, "keystone.producer"):
        for _ in range(1_000):
            producer.send("s", 5)  # type: ignore[arg-type]
    assert [problem.kind for problem in problems if problem.kind == "not_bytes"] == ["not_bytes"]
    assert len([record for record in caplog.records if "not_bytes" in record.message]) == 1
    key = ("not_bytes", "s", "primary")
    producer._engine.reporter._told_at[key] -= 61
    producer.send("s", 5)  # type: ignore[arg-type]
    assert problems[-1].events == 1_000
    producer.close(0)


def test_hooks_that_raise_harm_no_event() -> None:
    def fails(*_: object) -> str:
        message = "the service's own bug"
        raise RuntimeError(message)

    with stand_in(on_problem=fails, validate=fails) as producer:
        producer.send("s", b"{}", on_delivery=fails)
        assert producer.close(20) == Counts(1, 1)


@pytest.mark.parametrize("raised", [SystemExit, asyncio.CancelledError, KeyboardInterrupt])
def test_a_callback_that_raises_what_ends_a_thread_does_not_end_the_one_that_serves_all(
    raised: type[BaseException],
) -> None:
    problems: list[Problem] = []

    def fails(_: object) -> None:
        raise raised

    with stand_in(on_problem=problems.append) as producer:
        producer.send("s", b"{}", on_delivery=fails)  # nobody else serves it than the client's own thread
        until(lambda: any(problem.kind == "hook_failed" for problem in problems))
        assert producer.submit("s", b"{}").result(20).dropped is None


def test_a_zone_that_raises_is_a_bad_time() -> None:
    class Broken(tzinfo):
        def utcoffset(self, _: datetime | None) -> timedelta:
            message = "the service's own bug"
            raise RuntimeError(message)

    producer = nowhere()
    producer.send("s", b"{}", time=datetime(2026, 1, 1, tzinfo=Broken()))
    assert producer.close(0) == Counts(1, 0, {DropReason.BAD_TIME: 1})


def until(told: Callable[[], bool]) -> None:
    end = time.monotonic() + 20
    while not told():
        assert time.monotonic() < end
        time.sleep(0.02)


def test_a_clock_that_goes_back_is_told_and_guids_still_ascend(monkeypatch: pytest.MonkeyPatch) -> None:
    problems: list[Problem] = []
    producer = nowhere(on_problem=problems.append)
    before = producer.send("s", b"{}")
    hour_ago = time.time_ns() - 3_600 * 10**9
    monkeypatch.setattr("keystone_platform.producer.producer.time_ns", lambda: hour_ago)
    assert producer.send("s", b"{}") > before
    assert [problem.kind for problem in problems if problem.kind == "clock_behind"] == ["clock_behind"]
    producer.close(0)


def test_a_name_that_cannot_be_found_is_told_as_such() -> None:
    problems: list[Problem] = []
    producer = nowhere(on_problem=problems.append)
    producer.close(0)
    from keystone_platform.producer import KeystoneProducer

    producer = KeystoneProducer({"bootstrap.servers": "kafka.invalid:9092"}, "test", on_problem=problems.append)
    producer.send("s", b"{}")
    end = time.monotonic() + 20
    while "dns" not in {problem.kind for problem in problems} and time.monotonic() < end:
        time.sleep(0.05)
    assert producer.close(0) == Counts(1, 0, {DropReason.CLOSED: 1})
    assert "dns" in {problem.kind for problem in problems}
