"""`keystone produce` with a primary that is killed half-way: each line arrives, and what may be double is told."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from tests.drills.two_clusters.twins import Twins, command, environment, keystone
from tests.e2e.platform import Platform, event, stream_yaml, wait_for

pytestmark = [pytest.mark.drill, pytest.mark.timeout(1200)]

STREAM = "lines"
LINES = 60_000
RATE = 3_000


@pytest.fixture
def lines(platform: Platform) -> Iterator[Twins]:
    twins = Twins(platform, STREAM, f"{STREAM}.warehouse")
    twins.begin(stream_yaml(STREAM))
    yield twins
    twins.end()


def test_file_arrives_whole_though_the_primary_is_killed_half_way(lines: Twins, tmp_path: Path) -> None:
    file = written(tmp_path / "events.ndjson", 0)
    arguments = ("produce", STREAM, str(file), "--rate", str(RATE), "--resume", str(tmp_path / "progress"), "--json")
    with subprocess.Popen(command(*arguments), stdout=subprocess.PIPE, text=True, env=environment()) as producing:
        wait_for("half of the lines", lambda: on_primary(lines) > LINES / 2, 120)
        killed = time.monotonic()
        lines.kill_primary()
        told = json.loads(producing.communicate(timeout=180)[0])
    print(f"ended {time.monotonic() - killed:.1f} s after the kill: {told}")
    assert (producing.returncode, told["attempted"], told["acknowledged"], told["dropped"]) == (0, LINES, LINES, {})

    again = keystone(*arguments)  # the primary is still away
    print(f"again: {again.stdout}")
    assert (again.returncode, json.loads(again.stdout)["attempted"]) == (0, 0)
    lines.start_all()
    landed(lines, LINES, most_twice=told["files"][0]["switched_double"])


def test_killed_producer_goes_on_from_its_progress_file_while_the_primary_is_away(lines: Twins, tmp_path: Path) -> None:
    before = lines.platform.counted(STREAM).rows
    file, progress = written(tmp_path / "more.ndjson", LINES), tmp_path / "progress"
    arguments = ("produce", STREAM, str(file), "--resume", str(progress), "--json")
    first = on_primary(lines)
    with subprocess.Popen([*command(*arguments), "--rate", str(RATE)], env=environment()) as producing:
        wait_for("a third of the lines", lambda: on_primary(lines) - first > LINES / 3, 120)
        lines.kill_primary()
        time.sleep(7)
        os.kill(producing.pid, signal.SIGKILL)
    began = time.monotonic()
    again = keystone(*arguments)
    told = json.loads(again.stdout)
    print(f"went on in {time.monotonic() - began:.1f} s without the primary: {told}\n{again.stderr}")
    assert (again.returncode, told["dropped"]) == (0, {})
    lines.start_all()
    (of_file,) = told["files"]
    landed(lines, LINES, most_twice=of_file["resumed_double"] + of_file["switched_double"], first=LINES)
    assert before <= lines.platform.counted(STREAM).rows


def written(file: Path, first: int) -> Path:
    file.write_bytes(b"".join(event(number) + b"\n" for number in range(first, first + LINES)))
    return file


def on_primary(twins: Twins) -> int:
    with suppress(Exception):
        return twins.platform.gateways.kafka.offsets(STREAM).span
    return 0


def landed(twins: Twins, lines: int, *, most_twice: int, first: int = 0) -> None:
    """Wait until each line of a file has a row; see that no more of them have two than was told."""
    query = f"SELECT count(*), count(DISTINCT n), count(DISTINCT _guid) FROM t WHERE n >= {first}"
    began = time.monotonic()

    def whole() -> tuple[Any, ...] | None:
        (row,) = twins.platform.rows(STREAM, query)
        return row if row[1] == lines else None

    wait_for("each line in the table", whole, 180)
    time.sleep(10)  # a double would be committed by now
    rows, numbers, guids = (int(str(count)) for count in twins.platform.rows(STREAM, query)[0])
    print(f"{numbers} lines in {rows} rows, {guids} guids, {time.monotonic() - began:.1f} s after the primary was back")
    assert numbers == lines
    assert rows - lines <= most_twice
