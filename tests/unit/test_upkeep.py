"""What upkeep lets go and what it never does, decided from values alone."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from assets.upkeep.history import KEPT_JOBS, Keeping, PastSnapshot, Ref, expired
from assets.upkeep.places import key_of, neighbours, places
from assets.upkeep.policy import order
from assets.upkeep.report import TASKS
from assets.upkeep.retention import first_kept
from keystone_platform.errors import InvalidSpec

NOW = datetime(2026, 11, 28, 12, tzinfo=UTC)
DAY = Keeping(timedelta(days=1), least=1)


def line(count: int, jobs: dict[int, str] | None = None, hours_apart: int = 12) -> list[PastSnapshot]:
    """Snapshots 1 … count of main, the last one committed now."""
    return [
        PastSnapshot(
            number, number - 1 or None, NOW - timedelta(hours=hours_apart * (count - number)), (jobs or {}).get(number)
        )
        for number in range(1, count + 1)
    ]


def main(head: int) -> Ref:
    return Ref("main", head, is_branch=True)


def test_what_is_young_or_among_the_newest_stays() -> None:
    assert expired(line(6), [main(6)], DAY, NOW) == (1, 2, 3, 4)
    assert expired(line(6), [main(6)], Keeping(timedelta(days=1), least=4), NOW) == (1, 2)
    assert expired(line(6), [main(6)], Keeping(timedelta(0), least=1), NOW) == (1, 2, 3, 4, 5)


def test_a_tag_or_branch_keeps_its_snapshot_at_any_age() -> None:
    refs = [main(6), Ref("proven", 2, is_branch=False), Ref("kept", 3, is_branch=True)]
    assert expired(line(6), refs, DAY, NOW) == (1, 4)


def test_no_gap_comes_between_the_head_and_the_newest_commit_of_a_router() -> None:
    """Flink's committer walks from the head through the parents and would commit its files again after a gap."""
    assert expired(line(9, jobs={3: "a"}), [main(9)], DAY, NOW) == (1, 2)


def test_the_newest_commit_of_each_of_the_last_jobs_stays_for_the_next_start_to_be_measured_by() -> None:
    jobs = {1: "a", 2: "a", 3: "b", 4: "b", 8: "c"}
    assert expired(line(8, jobs), [main(8)], DAY, NOW) == (1, 3, 5, 6)
    many = {number: f"job-{number}" for number in range(1, 31)}
    assert len(line(30)) - len(expired(line(30, many), [main(30)], DAY, NOW)) == KEPT_JOBS


def test_a_branch_keeps_what_main_does_not_have_unless_it_has_settings_of_its_own() -> None:
    branch = [PastSnapshot(10, 2, NOW - timedelta(days=9)), PastSnapshot(11, 10, NOW - timedelta(days=8))]
    backfill = Ref("backfill-7", 11, is_branch=True)
    assert expired([*line(4), *branch], [main(4), backfill], DAY, NOW) == (1, 2)
    short = Ref("backfill-7", 11, is_branch=True, keeping=Keeping(timedelta(0), least=1))
    assert expired([*line(4), *branch], [main(4), short], DAY, NOW) == (10, 1, 2)


def test_what_belongs_to_no_branch_goes_by_its_age() -> None:
    loose = [PastSnapshot(20, None, NOW - timedelta(days=2)), PastSnapshot(21, 20, NOW - timedelta(hours=1))]
    assert expired([*line(1), *loose], [main(1)], DAY, NOW) == (20,)


def test_an_empty_table_and_a_lost_parent_end_nothing() -> None:
    assert expired([], [], DAY, NOW) == ()
    assert expired([PastSnapshot(5, 4, NOW)], [main(5)], DAY, NOW) == ()


def test_uris_of_one_object_are_one_whatever_scheme_and_bucket_they_are_written_with() -> None:
    uris = ("s3://b/wh/t/x", "s3a://b/wh/t/x", "S3N://other/wh/t/x", "file:///wh/t/x", "file:/wh/t/x", "/wh/t/x")
    assert {key_of(uri) for uri in uris} == {"wh/t/x"}
    assert key_of("s3://b/wh//t/a#b?c") == "wh//t/a#b?c"


def test_tables_in_each_others_folders_are_known() -> None:
    known = {
        "a": places("s3://b/wh/events/a", {}),
        "ab": places("s3://b/wh/events/ab", {}),
        "in": places("s3a://b/wh/events/a/data/in", {}),
        "data": places("s3://b/wh/events/x", {"write.data.path": "s3://b/pool"}),
        "pool": places("s3://b/pool/", {}),
    }
    assert neighbours(known) == {"a": ("in",), "in": ("a",), "data": ("pool",), "pool": ("data",)}


def test_folders_of_a_table_are_listed_once() -> None:
    inside = {"write.data.path": "s3://b/t/data", "write.metadata.path": "s3://b/meta"}
    assert places("s3://b/t", inside).folders == ("s3://b/t/", "s3://b/meta/")


def test_a_young_age_has_to_be_asked_for_twice_and_for_tasks_it_is_for() -> None:
    minute = timedelta(minutes=1)
    with pytest.raises(InvalidSpec, match="younger"):
        order(["orphans"], minute)
    assert order(["orphans"], minute, below_floor=True).safe_age == minute
    for tasks in ([], ["retention", "snapshots"]):
        with pytest.raises(InvalidSpec, match="not for"):
            order(tasks, timedelta(days=1))  # type: ignore[arg-type]
    assert order(["uploads", "snapshots"]).tasks == ("snapshots", "uploads")
    assert order().tasks == TASKS


def test_an_hour_goes_when_all_of_it_is_past_its_age() -> None:
    assert first_kept(1, NOW) == NOW - timedelta(days=1)
    assert first_kept(1, NOW + timedelta(minutes=59)) == NOW - timedelta(days=1)
