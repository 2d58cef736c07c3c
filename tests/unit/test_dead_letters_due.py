"""Which streams' dead letters are asked for, and when."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

from assets.dead_letters.asset import DeadLetterStream, dead_letter_streams
from assets.dead_letters.due import IN_FLIGHT, PAUSE, Landed, choose
from assets.dead_letters.table import next_offsets, offset_properties
from assets.due import RETRY_AFTER
from keystone_platform.plan.plan_router import plan_fleet
from keystone_platform.spec.loader import load_streams

NOW = datetime(2026, 11, 1, 12, 0, 1, tzinfo=UTC)


def streams(folder: Path, *names: str, schema: str = "schema: {n: bigint}") -> tuple[DeadLetterStream, ...]:
    for name in names:
        route = f"  - sink: {{warehouse: {{table: events.{name}}}}}\n"
        (folder / f"{name}.yaml").write_text(f"stream: {name}\nowner: team:a\n{schema}\nroutes:\n{route}")
    fleet = load_streams(folder)
    return dead_letter_streams(fleet, plan_fleet(fleet))


def asked(
    declared: tuple[DeadLetterStream, ...], ends: dict[str, int], landed: dict[str, Landed], **more: object
) -> list[str]:
    options: dict[str, object] = {"busy": frozenset(), "now": NOW, **more}
    return [str(each.run_key).split("/")[0] for each in choose(declared, ends, landed, **options)]  # type: ignore[arg-type]


def test_a_stream_that_decodes_nothing_has_no_dead_letters(tmp_path: Path) -> None:
    assert streams(tmp_path, "a", schema="") == ()


def test_a_topic_that_does_not_exist_or_is_empty_makes_no_table(tmp_path: Path) -> None:
    assert asked(streams(tmp_path, "a", "b"), {"b.dlq": 0}, {}) == []


def test_first_letters_are_asked_for_at_once_and_later_ones_after_a_while(tmp_path: Path) -> None:
    declared = streams(tmp_path, "a")
    assert asked(declared, {"a.dlq": 3}, {}) == ["a"]
    assert asked(declared, {"a.dlq": 3}, {"a": Landed(3, NOW - timedelta(days=1))}) == []
    assert asked(declared, {"a.dlq": 4}, {"a": Landed(3, NOW - PAUSE / 2)}) == []
    assert asked(declared, {"a.dlq": 4}, {"a": Landed(3, NOW - PAUSE)}) == ["a"]


def test_a_topic_that_was_made_anew_is_asked_for(tmp_path: Path) -> None:
    assert asked(streams(tmp_path, "a"), {"a.dlq": 1}, {"a": Landed(3, NOW - PAUSE)}) == ["a"]


def test_a_stream_that_is_being_landed_is_left_alone(tmp_path: Path) -> None:
    assert asked(streams(tmp_path, "a", "b"), {"a.dlq": 3, "b.dlq": 3}, {}, busy=frozenset({"a"})) == ["b"]


def test_who_waits_longest_is_first_and_runs_are_few(tmp_path: Path) -> None:
    names = [f"s{number:02}" for number in range(IN_FLIGHT + 2)]
    declared = streams(tmp_path, *names)
    landed = {name: Landed(1, NOW - PAUSE - timedelta(minutes=number)) for number, name in enumerate(names)}
    found = asked(declared, {f"{name}.dlq": 2 for name in names}, landed)
    assert found == names[:1:-1]


def test_a_landing_that_failed_is_asked_for_again(tmp_path: Path) -> None:
    declared = streams(tmp_path, "a")
    (first,) = choose(declared, {"a.dlq": 3}, {}, frozenset(), NOW)
    (again,) = choose(declared, {"a.dlq": 3}, {}, frozenset(), NOW + timedelta(minutes=1))
    (later,) = choose(declared, {"a.dlq": 3}, {}, frozenset(), NOW + RETRY_AFTER)
    assert first.run_key == again.run_key != later.run_key


def test_a_stream_on_two_clusters_is_asked_for_when_either_topic_grows(tmp_path: Path) -> None:
    (tmp_path / "clusters.yaml").write_text(
        'clusters: {primary: {bootstrap_servers: "a:1"}, b: {bootstrap_servers: "b:1"}}\n'
        "streams: {primary: primary, standby: b}\n"
    )
    folder = tmp_path / "streams"
    folder.mkdir()
    (stream,) = declared = streams(folder, "a")
    assert stream.topics == {"a.dlq": None, "b.a.dlq": "b"}
    assert asked(declared, {"a.dlq": 3, "b.a.dlq": 2}, {"a": Landed(5, NOW - PAUSE)}) == []
    assert asked(declared, {"a.dlq": 3, "b.a.dlq": 3}, {"a": Landed(5, NOW - PAUSE)}) == ["a"]


def test_how_far_a_topic_is_landed_is_kept_for_each_cluster() -> None:
    told = offset_properties({0: 3}) | offset_properties({0: 7, 1: 9}, "b")
    assert next_offsets(told) == {0: 3}
    assert next_offsets(told, "b") == {0: 7, 1: 9}
    assert next_offsets(told, "c") == {}
