"""A Dagster backfill over hours: one run for all of them, over just these hours."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace

import dagster as dg
import pytest

from assets import keys
from assets.backfill import asset
from assets.backfill.backfill import BackfillReport
from assets.backfill.swap import Swapped
from assets.definitions import defs
from assets.resource import WarehouseResource
from keystone_platform.errors import Terminal
from keystone_platform.gateways.clock import SystemClock
from keystone_platform.plan.backfill import Outline, Request, Scope, TableSnapshot, TimeRange
from keystone_platform.plan.router_plan import RouterPlan
from keystone_platform.settings import SETTINGS_VARIABLE, STREAMS_VARIABLE
from tests.contract.lake_tables import TEN, local_settings

STREAM = """
stream: {name}
owner: team:player
schema: {{user_id: bigint}}
routes:
  - sink: {{warehouse: {{table: events.{name}}}}}
    select: [user_id]
  - name: raw
    sink: {{warehouse: {{table: raw.{name}, raw: true}}}}
"""

PLAYBACK, CLICKS = dg.AssetKey(["backfilled", "playback"]), dg.AssetKey(["backfilled", "clicks"])

RANGE = {
    "dagster/asset_partition_range_start": "2026-11-01-10:00",
    "dagster/asset_partition_range_end": "2026-11-01-12:00",
}


@pytest.fixture
def location(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dg.Definitions:
    (tmp_path / "streams").mkdir()
    for name in ("playback", "clicks"):
        (tmp_path / "streams" / f"{name}.yaml").write_text(STREAM.format(name=name))
    (tmp_path / "settings.json").write_text(local_settings(tmp_path).model_dump_json())
    monkeypatch.setenv(STREAMS_VARIABLE, str(tmp_path / "streams"))
    monkeypatch.setenv(SETTINGS_VARIABLE, str(tmp_path / "settings.json"))
    monkeypatch.setattr(asset, "connect", lambda _: SimpleNamespace(jobs=SimpleNamespace(clock=SystemClock())))
    return defs()


def materialise(
    location: dg.Definitions, selection: list[dg.AssetKey], from_table: str | None = None
) -> dg.ExecuteInProcessResult:
    assets = [each for each in location.assets or [] if isinstance(each, dg.AssetsDefinition)]
    (chosen,) = {each.op.name for each in assets if each.keys & set(selection)}
    return dg.materialize(
        assets,
        selection=selection,
        resources={"warehouse": WarehouseResource()},
        tags=RANGE,
        run_config={"ops": {chosen: {"config": {"from_table": from_table}}}} if from_table else None,
        raise_on_error=False,
    )


def test_a_range_of_hours_is_one_run_over_just_these(location: dg.Definitions, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str, Request]] = []

    def run(_servers: object, plan: RouterPlan, request: Request, tell: object) -> BackfillReport:
        assert callable(tell)
        asked.append((plan.route, request))
        outline = Outline(scope=Scope(times=request.times))
        return BackfillReport("events.playback", "backfill-1", outline, Swapped(7, 40, 20), None, (TEN,), resumed=False)

    monkeypatch.setattr(asset, "run", run)
    result = materialise(location, [PLAYBACK])
    assert result.success
    three_hours = TimeRange(start=TEN, end=TEN + timedelta(hours=3))
    assert [(route, request.times) for route, request in asked] == [("playback.warehouse", (three_hours,))]
    events = result.asset_materializations_for_node(result.job_def.all_node_defs[0].name)
    assert {event.partition for event in events} == {f"2026-11-01-{hour}:00" for hour in (10, 11, 12)}
    assert events[0].metadata[keys.ROWS_BROUGHT].value == 20


def test_one_route_that_fails_keeps_no_other_from_its_backfill(
    location: dg.Definitions, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[str] = []

    def run(_servers: object, plan: RouterPlan, request: Request, tell: object) -> BackfillReport:
        done.append(plan.stream)
        message = f"{plan.stream} has no events of {request.times} {tell}"
        raise Terminal(message)

    monkeypatch.setattr(asset, "run", run)
    assert not materialise(location, [PLAYBACK, CLICKS]).success
    assert sorted(done) == ["clicks", "playback"]


def test_the_hours_are_backfilled_by_one_run_from_a_pool_of_their_own(location: dg.Definitions) -> None:
    (found,) = [
        each for each in location.assets or [] if isinstance(each, dg.AssetsDefinition) and PLAYBACK in each.keys
    ]
    assert found.backfill_policy == dg.BackfillPolicy.single_run()
    assert found.op.pool == keys.BACKFILL_POOL
    assert CLICKS in found.keys, "routes that begin together are one definition: thousands load in seconds"


def test_the_runs_config_names_the_raw_table_to_read_from(
    location: dg.Definitions, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str | None] = []

    def run(_servers: object, _plan: object, request: Request, _tell: object) -> BackfillReport:
        asked.append(request.from_table)
        source = TableSnapshot(table="raw.playback", snapshot_id=7)
        outline = Outline(scope=Scope(times=request.times), source=source)
        return BackfillReport(
            "events.playback", "backfill-1", outline, Swapped(7, 40, 20, 3), None, (TEN,), resumed=False
        )

    monkeypatch.setattr(asset, "run", run)
    result = materialise(location, [PLAYBACK], "raw.playback")
    assert asked == ["raw.playback"]
    event, *_ = result.asset_materializations_for_node(result.job_def.all_node_defs[0].name)
    assert event.metadata[keys.ROWS_KEPT].value == 3
    assert event.metadata[keys.EVENT_SOURCE].value == "raw.playback at snapshot 7"


def test_a_table_that_can_not_hold_the_events_is_refused(
    location: dg.Definitions, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(asset, "run", lambda *_: pytest.fail("nothing may begin"))
    assert not materialise(location, [PLAYBACK], "raw.clicks").success
