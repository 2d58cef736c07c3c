"""Sending lines: at least once each, whatever ends the run, and as few twice as is told."""

from __future__ import annotations

import json
from collections.abc import Callable, Container, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from keystone_platform.errors import InvalidSpec
from keystone_platform.gateways.clock import SystemClock
from keystone_platform.ndjson import sending
from keystone_platform.ndjson.lines import Place
from keystone_platform.ndjson.progress_file import ProgressFile
from keystone_platform.ndjson.reading import Reading
from keystone_platform.ndjson.sending import LineSender
from keystone_platform.ndjson.stop import Stop
from keystone_platform.producer import Delivery, DropReason


class Killed(BaseException):
    """The process ends here: nothing that comes after it happens."""


class SlowKafka:
    """Acknowledges what it was sent when it is told to, and drops what `fate` says.

    Args:
        kill_at: so many events were sent when the process is killed.
        resent: of which events it says that another cluster may have them too.
    """

    def __init__(
        self,
        fate: Callable[[bytes], DropReason | None] = lambda _: None,
        kill_at: int | None = None,
        resent: Container[bytes] = (),
    ) -> None:
        self._resent = resent
        self.arrived: list[bytes] = []
        self._fate = fate
        self._kill_at = kill_at
        self._open: list[tuple[bytes, Callable[[Delivery], None]]] = []

    def send(self, stream: str, payload: bytes, *_: Any, on_delivery: Callable[[Delivery], None]) -> None:
        if self._kill_at == len(self.arrived) + len(self._open):
            self.arrived += [waiting for waiting, _ in self._open]
            raise Killed
        self._open.append((payload, on_delivery))
        if len(self._open) > 7:
            self._deliver(3)

    def flush(self, _deadline_s: float) -> int:
        self._deliver(len(self._open))
        return 0

    def _deliver(self, events: int) -> None:
        for payload, on_delivery in self._open[:events]:
            dropped = self._fate(payload)
            if dropped is None:
                self.arrived.append(payload)
            on_delivery(Delivery("", "s", "primary", dropped, "text", is_resent=payload in self._resent))
        del self._open[:events]


class NoPace:
    """Every event may go at once."""

    def turn(self) -> bool:
        return True

    def wait(self) -> None:
        raise AssertionError


def run(
    kafka: SlowKafka, files: list[Path], progress: Path | None, *, strict: bool = False, stop: Stop | None = None
) -> tuple[LineSender, list[str]]:
    told: list[str] = []
    sender = LineSender(
        kafka,  # type: ignore[arg-type]
        "s",
        Reading(),
        pace=NoPace(),  # type: ignore[arg-type]
        stop=stop or Stop(),
        clock=SystemClock(),
        tell=told.append,
        progress=ProgressFile(progress, "s") if progress else None,
        strict=strict,
    )
    sender.send([str(file) for file in files], 1)
    return sender, told


def event(number: int) -> bytes:
    return b'{"n":%d}' % number


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "events.ndjson"
    path.write_bytes(b"".join(event(number) + b"\n" for number in range(200)))
    return path


@pytest.fixture(autouse=True)
def small_steps(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(sending, "MOST_AHEAD", 20)
    yield


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50, deadline=None)
@given(kills=st.lists(st.integers(0, 120), max_size=4))
def test_after_kills_each_line_arrives_and_no_more_twice_than_is_told(
    tmp_path: Path, file: Path, kills: list[int]
) -> None:
    progress = tmp_path / "progress"
    progress.unlink(missing_ok=True)
    arrived: list[bytes] = []
    for kill in kills:
        kafka = SlowKafka(kill_at=kill)
        with suppress(Killed):
            run(kafka, [file], progress)
        arrived += kafka.arrived
    known = ProgressFile(progress, "s").find(str(file))
    kafka = SlowKafka()
    (result,) = run(kafka, [file], progress)[0].results
    doubled = set(arrived) & set(kafka.arrived)
    assert set(arrived) | set(kafka.arrived) == {event(number) for number in range(200)}
    assert len(doubled) <= result.resumed_double == (known.maybe_double if known else 0)
    assert result.is_ended


def test_an_orderly_end_is_exact_and_a_file_that_grew_goes_on_where_it_ended(tmp_path: Path, file: Path) -> None:
    run(SlowKafka(), [file], tmp_path / "progress")
    again = SlowKafka()
    (result,) = run(again, [file], tmp_path / "progress")[0].results
    assert (again.arrived, result.begin.line, result.resumed_double) == ([], 200, 0)
    with file.open("ab") as more:
        more.write(event(200) + b"\n")
    file.rename(tmp_path / "rotated")
    run(again, [tmp_path / "rotated"], tmp_path / "progress")
    assert again.arrived == [event(200)]


def test_a_wish_to_stop_is_exact(tmp_path: Path, file: Path) -> None:
    stop = Stop()
    kafka = SlowKafka(lambda payload: setattr(stop, "asked", payload == event(50) or stop.asked))  # type: ignore[func-returns-value]
    (result,) = run(kafka, [file], tmp_path / "progress", stop=stop)[0].results
    assert 50 < result.acknowledged.line < 70
    assert (result.is_ended, result.maybe_double) == (False, 0)
    rest = SlowKafka()
    run(rest, [file], tmp_path / "progress")
    assert kafka.arrived + rest.arrived == [event(number) for number in range(200)]


def test_an_event_that_kafka_gave_up_ends_the_run_before_it(tmp_path: Path, file: Path) -> None:
    kafka = SlowKafka(lambda payload: DropReason.TIMED_OUT if payload == event(30) else None)
    sender, _ = run(kafka, [file], tmp_path / "progress")
    (result,) = sender.results
    assert sender.failure is not None and sender.failure.startswith(f"{file}:31: timed_out")
    assert result.acknowledged == Place(30, file.read_bytes().index(event(30)))
    rest = SlowKafka()
    (resumed,) = run(rest, [file], tmp_path / "progress")[0].results
    assert set(kafka.arrived) | set(rest.arrived) == {event(number) for number in range(200)}
    assert len(set(kafka.arrived) & set(rest.arrived)) <= resumed.resumed_double == result.maybe_double


def test_lines_that_went_to_another_cluster_are_told_once_also_if_the_run_is_killed(tmp_path: Path, file: Path) -> None:
    file.write_bytes(b"".join(event(number) + b"\n" for number in range(2_000)))
    switched = [event(number) for number in range(20, 30)]
    (whole,) = run(SlowKafka(resent=switched), [file], tmp_path / "orderly")[0].results
    (after,) = run(SlowKafka(), [file], tmp_path / "orderly")[0].results
    assert (whole.switched_double, after.resumed_double) == (10, 0)

    with suppress(Killed):
        run(SlowKafka(resent=switched, kill_at=1_900), [file], tmp_path / "killed")
    known = ProgressFile(tmp_path / "killed", "s").find(str(file))
    assert known and known.switched_double == 10
    (rest,) = run(SlowKafka(), [file], tmp_path / "killed")[0].results
    assert rest.resumed_double == 10 + known.announced - known.acknowledged.line
    assert rest.switched_double == 0


def test_a_line_that_a_second_cluster_had_no_room_for_may_be_on_the_first(tmp_path: Path, file: Path) -> None:
    kafka = SlowKafka(lambda payload: DropReason.QUEUE_FULL if payload == event(199) else None, resent=[event(199)])
    (result,) = run(kafka, [file], tmp_path / "progress")[0].results
    assert (result.acknowledged.line, result.maybe_double) == (199, 1)


def test_a_line_at_fault_is_told_with_its_place_and_the_rest_goes(tmp_path: Path) -> None:
    file = tmp_path / "odd"
    file.write_bytes(b'{"n":1}\n\n{\n  \n{"n":2}\n"text"\n\xff\n{"n":3}')
    kafka = SlowKafka(lambda payload: DropReason.TOO_LARGE if payload == event(2) else None)
    sender, told = run(kafka, [file], None)
    (result,) = sender.results
    assert kafka.arrived == [event(1), event(3)]
    assert (result.bad, result.blank) == ({"not_json": 1, "not_object": 1, "not_utf8": 1}, 2)
    assert sorted(text.split(": ")[0] for text in told) == [f"{file}:{line}" for line in (3, 5, 6, 7)]
    assert result.is_ended and result.acknowledged.line == 8


def test_strict_stops_before_the_first_bad_line(tmp_path: Path) -> None:
    file = tmp_path / "odd"
    file.write_bytes(b'{"n":1}\n{\n{"n":2}\n')
    kafka = SlowKafka()
    sender, _ = run(kafka, [file], tmp_path / "progress", strict=True)
    assert kafka.arrived == [event(1)]
    assert sender.failure is not None and sender.failure.startswith(f"{file}:2: not_json")
    assert sender.results[0].acknowledged.line == 1


def test_a_line_that_is_still_being_written_waits_for_the_next_run(tmp_path: Path) -> None:
    file = tmp_path / "growing"
    file.write_bytes(b'{"n":1}\n{"n":')
    kafka = SlowKafka()
    (result,) = run(kafka, [file], tmp_path / "progress")[0].results
    assert (result.bad, result.is_ended, result.acknowledged.line) == ({}, False, 1)
    with file.open("ab") as more:
        more.write(b"2}\n")
    (result,) = run(kafka, [file], tmp_path / "progress")[0].results
    assert kafka.arrived == [event(1), event(2)]
    assert result.is_ended


def test_another_file_of_the_same_name_is_sent_from_its_beginning(tmp_path: Path, file: Path) -> None:
    run(SlowKafka(), [file], tmp_path / "progress")
    file.write_bytes(event(7) + b"\n")
    kafka = SlowKafka()
    run(kafka, [file], tmp_path / "progress")
    assert kafka.arrived == [event(7)]


def test_a_file_that_was_cut_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "long"
    file.write_bytes((event(1) + b"\n") * 1_000)
    run(SlowKafka(), [file], tmp_path / "progress")
    file.write_bytes(file.read_bytes()[:5_000])
    with pytest.raises(InvalidSpec, match="was cut"):
        run(SlowKafka(), [file], tmp_path / "progress")


@pytest.mark.parametrize("content", ["", "{}", "5", json.dumps({"version": 1, "stream": "other", "files": []})])
def test_a_progress_file_that_is_none_is_refused(tmp_path: Path, file: Path, content: str) -> None:
    (tmp_path / "progress").write_text(content)
    with pytest.raises(InvalidSpec, match="progress"):
        run(SlowKafka(), [file], tmp_path / "progress")
