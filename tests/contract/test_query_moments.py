"""Time travel and the last proven hour, over real tables with a history."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from typer.testing import CliRunner

from assets.compaction.compact import compact_hour
from keystone_platform.cli import app
from keystone_platform.errors import InvalidSpec
from keystone_platform.gateways.iceberg_files import from_millis
from keystone_platform.gateways.iceberg_snapshots import snapshot_facts
from keystone_platform.gateways.lake import IcebergLake
from keystone_platform.query.answer import ask
from keystone_platform.query.locked import locked_session
from keystone_platform.query.moment import AsOf, LastProven, Moment, OfSnapshot, chosen_moment, parse_time
from keystone_platform.query.session import open_session
from keystone_platform.settings import SETTINGS_VARIABLE
from keystone_platform.spec.types import Scalar
from tests.contract.lake_tables import ELEVEN, TABLE, TEN, lake_with_table, land, local_settings, prove, warehouse_plan

NOW = datetime(2026, 11, 28, 6, tzinfo=UTC)


@pytest.fixture
def lake(tmp_path: Path) -> IcebergLake:
    """Three commits of 10, 20 and 30 rows."""
    lake, table = lake_with_table(tmp_path)
    land(table, range(10))
    land(table, range(10, 30))
    land(table, range(30, 60), hour=ELEVEN)
    return lake


def history(lake: IcebergLake) -> list[tuple[int, datetime]]:
    return [(entry.snapshot_id, from_millis(entry.timestamp_ms)) for entry in lake.load(TABLE).metadata.snapshot_log]


def count(folder: Path, moment: Moment, table: str = TABLE) -> int:
    (row,) = ask(local_settings(folder), f"select count(*) from {table}", moment).rows()
    return int(row[0])


def test_each_moment_of_the_history_shows_the_rows_of_then(lake: IcebergLake, tmp_path: Path) -> None:
    (first, at_first), (second, at_second), (third, at_third) = history(lake)
    assert [count(tmp_path, AsOf(at)) for at in (at_first, at_second, at_third, NOW + timedelta(days=999))] == [
        10,
        30,
        60,
        60,
    ]
    assert count(tmp_path, AsOf(at_second - timedelta(milliseconds=1))) == 10
    assert [count(tmp_path, OfSnapshot(snapshot)) for snapshot in (first, second, third)] == [10, 30, 60]


def test_a_column_that_came_later_does_not_break_an_old_moment(lake: IcebergLake, tmp_path: Path) -> None:
    lake.ensure_table(warehouse_plan(("user_id", Scalar.BIGINT), ("country", Scalar.STRING)))
    land(lake.load(TABLE), range(60, 65))
    assert count(tmp_path, AsOf(history(lake)[0][1])) == 10
    assert count(tmp_path, AsOf(history(lake)[3][1])) == 65


def test_an_old_moment_survives_a_compaction(lake: IcebergLake, tmp_path: Path) -> None:
    compact_hour(lake, TABLE, TEN)
    assert count(tmp_path, AsOf(history(lake)[0][1])) == 10
    assert snapshot_facts(lake.load(TABLE))[0].compaction


def test_before_the_first_commit_is_told_apart_from_expired(lake: IcebergLake, tmp_path: Path) -> None:
    with pytest.raises(InvalidSpec, match=r"had no rows .* its first commit was at 20\d\d-"):
        count(tmp_path, AsOf(TEN))
    (first, _), (_, at_second), _ = history(lake)
    lake.load(TABLE).maintenance.expire_snapshots().by_id(first).commit()
    oldest = f"{at_second:%Y-%m-%dT%H:%M:%S}"
    with pytest.raises(InvalidSpec, match=f"has expired: from {oldest}"):
        count(tmp_path, AsOf(TEN))
    with pytest.raises(InvalidSpec, match=f"has no snapshot {first}: the oldest is"):
        count(tmp_path, OfSnapshot(first))


def test_a_moment_whose_snapshot_expired_never_shows_the_rows_of_an_older_one(
    lake: IcebergLake, tmp_path: Path
) -> None:
    (first, _), (second, at_second), (_, at_third) = history(lake)
    lake.load(TABLE).manage_snapshots().create_tag(first, "kept").commit()
    lake.load(TABLE).maintenance.expire_snapshots().by_id(second).commit()
    for gone in (at_second, at_third - timedelta(milliseconds=1)):
        with pytest.raises(InvalidSpec, match=f"has expired: from {at_third:%Y-%m-%dT%H:%M:%S}"):
            count(tmp_path, AsOf(gone))
    assert count(tmp_path, AsOf(at_third)) == 60


def test_a_rollback_is_part_of_the_history(lake: IcebergLake, tmp_path: Path) -> None:
    (first, _), _, (_, at_third) = history(lake)
    lake.load(TABLE).manage_snapshots().set_current_snapshot(first).commit()
    rolled_back = history(lake)[-1][1]
    assert count(tmp_path, AsOf(rolled_back)) == 10
    assert count(tmp_path, AsOf(at_third)) == 60


def test_the_proven_view_ends_at_the_proven_hour_and_does_not_move_with_new_rows(
    lake: IcebergLake, tmp_path: Path
) -> None:
    table = lake.load(TABLE)
    prove(table, ELEVEN)
    land(table, range(60, 70))  # late rows of the hour that was proven
    assert count(tmp_path, LastProven()) == 30
    assert count(tmp_path, AsOf(NOW + timedelta(days=999)), "events_proven.playback") == 30
    with open_session(local_settings(tmp_path)) as session:
        both = session.execute("select (select count(*) from events.playback), count(*) from events_proven.playback")
        assert both.fetchone() == (70, 30)
    locked = locked_session(local_settings(tmp_path), [TABLE], LastProven())
    assert list(locked.query(f"select count(*) from {TABLE}").rows()) == [(30,)]


def test_nothing_proven_means_no_view_and_a_clear_error(lake: IcebergLake, tmp_path: Path) -> None:
    with pytest.raises(InvalidSpec, match=r"nothing of events\.playback is proven yet"):
        count(tmp_path, LastProven())
    with pytest.raises(InvalidSpec):
        ask(local_settings(tmp_path), "select count(*) from events_proven.playback")


def test_a_table_that_has_the_name_of_a_proven_view_stays_what_it_is(lake: IcebergLake, tmp_path: Path) -> None:
    lake.ensure_table(warehouse_plan(table="events_proven.playback"))
    prove(lake.load(TABLE), ELEVEN)
    with open_session(local_settings(tmp_path)) as session:
        assert session.execute("select count(*) from events_proven.playback").fetchone() == (0,)


def test_a_snapshot_is_of_one_table_and_the_others_are_not_mixed_in(lake: IcebergLake, tmp_path: Path) -> None:
    lake.ensure_table(warehouse_plan(table="events.other"))
    snapshot = OfSnapshot(history(lake)[0][0])
    with pytest.raises(InvalidSpec, match=r"events\.other|other does not exist"):
        ask(local_settings(tmp_path), f"select * from {TABLE}, events.other", snapshot)


@pytest.mark.parametrize(
    ("text", "time"),
    [
        ("2026-11-01T10", TEN),
        ("2026-11-01 10:00", TEN),
        ("2026-11-01T10:00:00Z", TEN),
        ("2026-11-01T12:00+02:00", TEN),
        ("2026-11-01", TEN.replace(hour=0)),
        ("now", NOW),
    ],
)
def test_a_time_is_read_as_people_write_it(text: str, time: datetime) -> None:
    assert parse_time(text, NOW) == time


@pytest.mark.parametrize("text", ["yesterday", "", "2027-01-01", "10:00"])
def test_what_is_no_time_or_not_over_yet_is_refused(text: str) -> None:
    with pytest.raises(InvalidSpec):
        parse_time(text, NOW)


def test_two_moments_at_once_are_refused() -> None:
    with pytest.raises(InvalidSpec, match="exclude each other"):
        chosen_moment("2026-11-01", None, proven=True, now=NOW)


@pytest.fixture
def run(lake: IcebergLake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[CliRunner]:
    file = tmp_path / "settings.json"
    file.write_text(local_settings(tmp_path).model_dump_json())
    monkeypatch.setenv(SETTINGS_VARIABLE, str(file))
    return CliRunner()


def test_the_command_line_travels_in_time(run: CliRunner, lake: IcebergLake) -> None:
    sql = ["sql", f"select count(*) as n from {TABLE}", "--json"]

    def rows(*options: str) -> int:
        result = run.invoke(app, [*sql, *options], catch_exceptions=False)
        return int(json.loads(result.stdout)[0]["n"])

    table = lake.load(TABLE)
    land(table, range(60, 70))
    prove(table, ELEVEN)
    listed = json.loads(run.invoke(app, ["snapshots", TABLE, "--json"]).stdout)
    assert [each["rows"] for each in listed] == [70, 60, 30, 10]
    assert [each["refs"] for each in listed] == [["main", "proven"], [], [], []]
    assert rows("--snapshot", str(listed[2]["snapshot_id"])) == 30
    assert rows("--as-of", listed[1]["committed_at"]) == 60
    assert rows("--proven") == 40
    shown = run.invoke(app, ["snapshots", TABLE, "--limit", "1"]).stdout
    assert "append" in shown
    assert "3 older ones" in shown
    assert "2026-11-01 11:00" in run.invoke(app, ["tables"]).stdout
    assert json.loads(run.invoke(app, ["tables", "--json"]).stdout)[0]["proven"]["until"].startswith("2026-11-01 11")


def test_tables_say_when_nothing_is_proven(run: CliRunner) -> None:
    assert "nothing proven yet" in run.invoke(app, ["tables"]).stdout
