"""What the sensors report and ask for, from totals alone."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg

from assets import keys
from assets.due import IN_FLIGHT, RETRY_AFTER, choose, run_request, waiting_hours
from assets.events import landing_event
from assets.progress import Cursor, HourNews, Position, TableNews, in_turn, read_cursor, write_cursor
from assets.routes import WarehouseRoute, first_hour, partition_hour
from keystone_platform.gateways.iceberg_files import HourTotals
from keystone_platform.spec.fleet import LoadedRoute
from keystone_platform.spec.models import StreamSpec
from tests.contract.lake_tables import TABLE, TEN, warehouse_plan

NOW = TEN + timedelta(days=1)


def route(name: str | None = None, since: str = "2026-10-01") -> WarehouseRoute:
    declared = {"sink": {"warehouse": {"table": TABLE}}, **({"name": name} if name else {})}
    stream = StreamSpec.model_validate(
        {
            "stream": "playback",
            "owner": "team:player",
            "schema": {"user_id": "bigint"},
            "since": f"{since}T00:00:00Z",
            "routes": [declared],
        }
    )
    return WarehouseRoute(LoadedRoute(stream, stream.routes[0], Path("playback.yaml"), 5), warehouse_plan(), TABLE)


def news(hour: datetime | None, small: int = 3, new_data: bool = True) -> HourNews:
    sizes = (9,) * small
    totals = HourTotals(hour, 100, 4, bytes=1000, small_files=small, small_sizes=sizes, first_time=hour, last_time=hour)
    return HourNews(TABLE, totals, rows_added=40, new_data=new_data, snapshot=2**62 + 1)


def test_new_rows_materialise_their_hour() -> None:
    event = landing_event(news(TEN), route(), NOW)
    assert isinstance(event, dg.AssetMaterialization)
    assert (event.asset_key.path, event.partition) == (["landed", "playback"], "2026-11-01-10:00")
    assert event.metadata[keys.ROWS].value == 100
    assert event.metadata[keys.ROWS_ADDED].value == 40
    assert event.metadata[keys.SNAPSHOT].value == str(2**62 + 1)


def test_a_compaction_is_no_new_data() -> None:
    event = landing_event(news(TEN, new_data=False), route(), NOW)
    assert isinstance(event, dg.AssetObservation)
    assert event.partition == "2026-11-01-10:00"


def test_an_hour_dropped_for_its_age_is_told_and_makes_no_stream_look_fresh() -> None:
    gone = HourNews(TABLE, HourTotals(TEN), rows_added=0, new_data=False, snapshot=7)
    event = landing_event(gone, route(), NOW)
    assert isinstance(event, dg.AssetObservation)
    assert (event.partition, event.description) == ("2026-11-01-10:00", "dropped for its age")
    assert event.metadata[keys.ROWS].value == 0


def test_hours_that_are_no_partition_are_observed_instead_of_failing_the_sensor() -> None:
    for odd in (datetime(1969, 12, 31, 23, tzinfo=UTC), NOW + timedelta(days=400), None):
        event = landing_event(news(odd), route(), NOW)
        assert isinstance(event, dg.AssetObservation)
        assert event.partition is None
        assert keys.HOUR in event.metadata


def test_every_reported_partition_is_one_that_dagster_knows() -> None:
    known = route().partitions
    first = datetime(2026, 10, 1, tzinfo=UTC)
    for hour in (first, NOW.replace(minute=0), first + timedelta(hours=13)):
        key = route().partition_of(hour, NOW)
        assert key is not None
        assert partition_hour(key) == hour
        assert key in known.get_partition_keys(NOW)


def test_since_is_read_as_utc_and_rounded_to_a_whole_hour() -> None:
    assert first_hour(datetime(2026, 1, 1)) == datetime(2026, 1, 1, tzinfo=UTC)
    east = datetime.fromisoformat("2026-01-01T05:30:00+05:00")
    assert first_hour(east) == datetime(2026, 1, 1, 1, tzinfo=UTC)


def test_a_second_warehouse_route_of_a_stream_has_assets_of_its_own() -> None:
    assert route().landed.path == ["landed", "playback"]
    assert route("errors_only").landed.path == ["landed", "playback", "errors_only"]
    assert route("errors_only").compacted.path == ["compacted", "playback", "errors_only"]


def total(hour: datetime | None, small: int = 3, files: int = 4) -> HourTotals:
    return HourTotals(hour, rows=100, files=files, bytes=1000, small_files=small, small_sizes=(9,) * small)


def test_the_same_files_are_not_compacted_twice_but_tried_again_after_a_while() -> None:
    def run_key(totals: HourTotals, now: datetime) -> str | None:
        request = run_request(route(), totals, now)
        assert request is not None
        return request.run_key

    assert run_key(total(TEN), NOW) == run_key(total(TEN), NOW + timedelta(minutes=1))
    assert run_key(total(TEN), NOW) != run_key(total(TEN, files=5), NOW)
    assert run_key(total(TEN), NOW) != run_key(total(TEN + timedelta(hours=1)), NOW)
    assert run_key(total(TEN), NOW) != run_key(total(TEN), NOW + RETRY_AFTER)


def test_an_hour_that_is_being_compacted_is_not_asked_for() -> None:
    assert choose([(route(), total(TEN))], {(TABLE, "2026-11-01-10:00")}, NOW) == []


def test_no_more_runs_are_asked_for_than_may_be_in_flight() -> None:
    due = [(route(), total(TEN + timedelta(hours=number), small=number)) for number in range(20)]
    asked = choose(due, {(TABLE, "2026-10-30-10:00")}, NOW)
    assert len(asked) == IN_FLIGHT - 1
    assert asked[0].partition_key == "2026-11-02-05:00"  # most small files
    assert choose(due, {(TABLE, str(number)) for number in range(IN_FLIGHT + 3)}, NOW) == []


def test_an_hour_outside_the_streams_partitions_is_not_asked_for() -> None:
    assert run_request(route(since="2026-11-02"), total(TEN), NOW) is None


def test_hours_wait_until_they_are_merged_and_open_hours_until_they_are_over() -> None:
    hours = [total(TEN), total(TEN + timedelta(hours=1), small=1), total(NOW, small=0), total(None)]
    looked = TableNews(TABLE, tuple(HourNews(TABLE, found, 0, True, 1) for found in hours), Position())
    assert waiting_hours(looked, NOW) == (TEN, NOW)


def test_a_cursor_survives_being_written_and_nonsense_begins_anew() -> None:
    cursor = Cursor({TABLE: Position(2**62 + 1, (TEN, None))}, "events.other")
    assert read_cursor(write_cursor(cursor)) == cursor
    for nonsense in (None, "", "{", "[]", '{"tables": 3}'):
        assert read_cursor(nonsense) == Cursor()


def test_a_tick_goes_on_where_the_last_one_ended() -> None:
    assert in_turn(["a", "b", "c"], "b") == ["b", "c", "a"]
    assert in_turn(["a", "b"], "gone") == ["a", "b"]
