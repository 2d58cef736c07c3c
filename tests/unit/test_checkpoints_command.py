"""How `keystone checkpoints` tells what it found."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from rich.console import Console

from keystone_platform.commands.checkpoints import show, size
from keystone_platform.plan.checkpoint_contents import Position
from keystone_platform.plan.checkpoint_report import CheckpointLine, CheckpointReport

NOW = datetime(2026, 11, 1, 12, tzinfo=UTC)
OLDER = "older than events.t (50 offsets): …"


def line(number: int, **more: object) -> CheckpointLine:
    held = (Position("t", 0, 1_000 * number, 0, 9_000, 2_000), Position("t", 1, None, 0, 7, None))
    at = NOW - timedelta(minutes=10 - number)
    values = {"uri": f"s3://b/chk-{number}", "held": held, **more}
    return CheckpointLine("j" * 32, "checkpoint", "retained", number, 3, at, 4_000, **values)  # type: ignore[arg-type]


def shown(*lines: CheckpointLine, offsets: bool = False, left_out: int = 0, notes: tuple[str, ...] = ()) -> list[str]:
    console = Console(width=200)
    report = CheckpointReport("t.warehouse", NOW, "events.t", "s3://b/chk-2", lines, left_out, notes)
    with console.capture() as captured:
        show(report, console, offsets=offsets)
    return [" ".join(each.split()) for each in captured.get().splitlines()]


def test_where_a_start_begins_is_marked_and_its_offsets_are_beside_topic_and_table() -> None:
    told = shown(line(2, took_s=0.44, is_restart_point=True), line(1, remarks=(OLDER,)))
    assert told[1:3] == [
        "→ checkpoint 2 3 retained 8 min 0.4 s 4.0 KB 7,007",
        f"checkpoint 1 3 retained 9 min 4.0 KB 8,007 {OLDER}",
    ]
    assert told[6:8] == ["2 3 t 0 2,000 9,000 7,000 2,000", "2 3 t 1 not read yet 7 7"]
    assert told[-1] == "the next start begins from s3://b/chk-2"


def test_offsets_of_all_show_how_far_one_is_behind_the_table() -> None:
    told = shown(line(2), line(1), offsets=True)
    assert "1 3 t 0 1,000 9,000 8,000 2,000 1,000" in told


def test_what_is_not_readable_or_not_shown_is_told() -> None:
    told = shown(line(1, held=(), unreadable="the object is gone"), left_out=4, notes=("Flink does not answer",))
    assert told[1] == "checkpoint 1 3 retained 9 min 4.0 KB offsets not readable: the object is gone"
    assert told[-3] == "4 older ones are not shown: --last N"
    assert told[-1] == "Flink does not answer"


def test_a_route_without_any_says_what_it_starts_from() -> None:
    assert shown() == ["no checkpoint and no savepoint", "the next start begins from s3://b/chk-2"]


@pytest.mark.parametrize(("count", "told"), [(0, "0 B"), (999, "999 B"), (4_020, "4.0 KB"), (3_200_000, "3.2 MB")])
def test_sizes_are_told_in_their_largest_unit(count: int, told: str) -> None:
    assert size(count) == told
