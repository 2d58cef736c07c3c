"""A backfill from a raw table, on real tables with a made-up cluster: what is read, judged, replaced and left alone."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import cast

import pytest
from pyiceberg.table import Table

from assets.backfill import backfill as work
from assets.backfill.backfill import BackfillReport, Preview, Servers
from assets.backfill.intent import unfinished
from assets.backfill.job import JobRunner
from assets.backfill.kafka_events import Topics
from assets.backfill.proof import BranchProof
from assets.backfill.table_events import TableEvents, newest
from keystone_platform.errors import InvalidSpec, Terminal
from keystone_platform.gateways.lake import IcebergLake
from keystone_platform.plan.backfill import Request, Scope, Span, TableSnapshot, hours
from keystone_platform.plan.plan_router import plan_router
from keystone_platform.plan.router_plan import RouterPlan
from keystone_platform.spec.models import StreamSpec
from tests.contract.lake_tables import ELEVEN, TABLE, TEN, land, local_settings
from tests.contract.test_backfill_run import FakeCluster, SteppingClock
from tests.contract.test_backfill_swap import new, old, seen

RAW = "raw.playback"
HOUR = Request(times=hours([TEN]), from_table=RAW)


def offsets(begin: int, end: int) -> Request:
    return Request(spans=(Span(topic="playback", partition=0, begin=begin, end=end),), from_table=RAW)


def plans(condition: str | None = None) -> tuple[RouterPlan, RouterPlan]:
    """The route to be backfilled, and the one that lands payloads."""
    typed = {"sink": {"warehouse": {"table": TABLE}}} | ({"filter": condition} if condition else {})
    stream = StreamSpec.model_validate(
        {
            "stream": "playback",
            "owner": "team:player",
            "schema": {"user_id": "bigint"},
            "routes": [typed, {"name": "raw", "sink": {"warehouse": {"table": RAW, "raw": True}}}],
        }
    )
    return plan_router(stream, stream.routes[0]), plan_router(stream, stream.routes[1])


def payload(offset: int) -> bytes:
    return b'{"user_id": %d}' % offset


@dataclass
class World:
    """A table with rows 0 to 39 of hour TEN and 50 to 99 of ELEVEN, and a raw table that each test fills."""

    lake: IcebergLake
    plan: RouterPlan
    table: Table
    raw: Table
    cluster: FakeCluster
    servers: Servers
    told: list[str] = field(default_factory=list)

    def land_raw(self, chosen: Sequence[int], hour: datetime = TEN, value: Callable[[int], object] = payload) -> None:
        """Commit the payloads of these offsets, each run of them at once."""
        for begin in (offset for offset in chosen if offset - 1 not in chosen):
            end = next(offset for offset in range(begin, max(chosen) + 2) if offset not in chosen)
            run = range(begin, end)
            land(self.lake.load(RAW), run, hour, values={"_value": [value(offset) for offset in run]})

    def run(self, request: Request = HOUR, *, writes: Iterable[int] = ()) -> BackfillReport:
        self.cluster.rows = list(writes)
        return work.run(self.servers, self.plan, request, self.told.append)

    def preview(self, request: Request = HOUR) -> Preview:
        return work.preview(self.servers, self.plan, request, self.told.append)

    def filtered(self, condition: str) -> World:
        self.plan = plans(condition)[0]
        return self


@pytest.fixture
def world(tmp_path: Path) -> World:
    lake, (plan, raw_plan) = IcebergLake(local_settings(tmp_path)), plans()
    lake.ensure_table(plan)
    lake.ensure_table(raw_plan)
    table = lake.load(TABLE)
    land(table, range(40), files=2)
    land(table, range(50, 100), hour=ELEVEN)
    cluster = FakeCluster(lambda: lake.load(TABLE), rows=())
    jobs = JobRunner(cluster, cluster, SteppingClock(), "s3://bucket/flink")
    nobody = cast(Topics, None)  # Kafka is not asked for anything
    return World(lake, plan, table, lake.load(RAW), cluster, Servers(lake, nobody, {}, jobs))


ELSEWHERE = old(range(50, 100))


def test_an_hour_is_replaced_by_what_the_plan_makes_of_the_payloads(world: World) -> None:
    world.land_raw(range(40))
    world.land_raw(range(50, 60), ELEVEN)
    report = world.filtered("user_id < 20").run(writes=range(20))
    assert seen(world.table) == new(range(20)) + ELSEWHERE
    assert (report.swapped.removed, report.swapped.added, report.swapped.kept) == (40, 20, 0)
    assert report.expected is not None
    assert (report.expected.kept, report.expected.filtered) == (20, 20)
    (submission,) = world.cluster.submitted
    assert submission.backfill is not None
    assert submission.backfill.source == newest(world.lake.load(RAW)) == report.outline.source


def test_rows_whose_events_the_raw_table_never_had_stay_and_are_counted(world: World) -> None:
    held = [*range(10), *range(20, 40)]
    world.land_raw(held)
    report = world.run(writes=held)
    assert seen(world.table) == new(held) + old(range(10, 20)) + ELSEWHERE
    assert (report.swapped.removed, report.swapped.added, report.swapped.kept) == (30, 30, 10)


def test_a_filter_removes_no_row_whose_event_is_not_there_to_be_judged(world: World) -> None:
    world.land_raw([*range(10), *range(20, 40)])
    report = world.filtered("user_id < 5").run(writes=range(5))
    assert seen(world.table) == new(range(5)) + old(range(10, 20)) + ELSEWHERE
    assert report.swapped.kept == 10


def test_a_row_without_a_payload_says_nothing_of_its_event(world: World) -> None:
    world.land_raw(range(40), value=lambda offset: None if 5 <= offset < 10 else payload(offset))
    held = [*range(5), *range(10, 40)]
    report = world.run(writes=held)
    assert seen(world.table) == new(held) + old(range(5, 10)) + ELSEWHERE
    assert report.swapped.kept == 5


def test_payloads_that_can_not_be_decoded_have_no_row(world: World) -> None:
    world.land_raw(range(40), value=lambda offset: b"nonsense" if offset < 3 else payload(offset))
    report = world.run(writes=range(3, 40))
    assert seen(world.table) == new(range(3, 40)) + ELSEWHERE
    assert report.expected is not None
    assert report.expected.dead == 3


def test_what_the_raw_table_does_not_hold_yet_is_told_and_left_alone(world: World) -> None:
    world.land_raw(range(30))
    report = world.run(writes=range(30))
    assert seen(world.table) == new(range(30)) + old(range(30, 40)) + ELSEWHERE
    assert [(span.begin, span.end) for span in report.outline.unsettled] == [(30, 40)]


def test_what_the_live_router_has_not_committed_is_left_to_it(world: World) -> None:
    world.land_raw(range(40))
    world.land_raw(range(90, 140), ELEVEN)
    found = work.outline_of(world.servers, world.plan, offsets(0, 140))
    assert [(span.begin, span.end) for span in found.scope.spans] == [(0, 100)]
    assert [(span.begin, span.end) for span in found.unsettled] == [(100, 140)]


def test_rows_of_before_kafkas_memory_land_in_a_table_that_never_had_them(world: World) -> None:
    world.table.delete("_offset < 40")  # as of a route that was declared when Kafka had the later ones only
    world.land_raw(range(40))
    report = world.run(writes=range(40))
    assert seen(world.table) == new(range(40)) + ELSEWHERE
    assert (report.swapped.removed, report.outline.gone) == (0, ())


def test_a_dry_run_counts_the_same_and_touches_nothing(world: World) -> None:
    held = [*range(10), *range(20, 40)]
    world.land_raw(held)
    found = world.filtered("user_id < 25").preview()
    assert (found.present, found.kept, found.expected.kept, found.expected.filtered) == (30, 10, 15, 15)
    assert (seen(world.table), unfinished(world.table)) == (old(range(40)) + ELSEWHERE, {})
    assert world.cluster.submitted == []


def test_rows_that_the_payloads_do_not_make_are_never_swapped_in(world: World) -> None:
    world.land_raw(range(40))
    with pytest.raises(Terminal, match="20 missing"):
        world.run(writes=range(20))
    with pytest.raises(Terminal, match="1 surplus"):
        world.filtered("user_id < 20").run(writes=range(21))
    assert (seen(world.table), unfinished(world.table)) == (old(range(40)) + ELSEWHERE, {})


def test_a_raw_table_that_holds_an_event_twice_is_found_out(world: World) -> None:
    world.land_raw(range(40))
    world.land_raw(range(5))
    with pytest.raises(Terminal, match="5 repeated"):
        world.run(writes=[*range(40), *range(5)])
    assert seen(world.table) == old(range(40)) + ELSEWHERE


def die(*_: object) -> BranchProof:
    raise KeyboardInterrupt


def test_what_died_goes_on_with_the_snapshot_that_it_began_with(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    held = [*range(10), *range(20, 40)]
    world.land_raw(held)
    with monkeypatch.context() as patch:
        patch.setattr(work, "prove", die)
        with pytest.raises(KeyboardInterrupt):
            world.run(writes=held)
    world.land_raw(range(10, 20))  # what comes later was not read by the job, and is not judged
    report = world.run()
    assert report.resumed
    assert seen(world.table) == new(held) + old(range(10, 20)) + ELSEWHERE
    assert (len(world.cluster.submitted), report.swapped.kept) == (1, 10)


def test_one_whose_snapshot_has_expired_meanwhile_is_ended(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.land_raw(range(40))
    first = newest(world.lake.load(RAW))
    with monkeypatch.context() as patch:
        patch.setattr(work, "prove", die)
        with pytest.raises(KeyboardInterrupt):
            world.run(writes=range(40))
    world.land_raw(range(50, 60), ELEVEN)
    world.lake.load(RAW).maintenance.expire_snapshots().by_id(first.snapshot_id).commit()
    with pytest.raises(Terminal, match="has expired"):
        world.run()
    assert (seen(world.table), unfinished(world.table)) == (old(range(40)) + ELSEWHERE, {})
    assert not world.run(writes=range(40)).resumed
    assert seen(world.table) == new(range(40)) + ELSEWHERE


def test_only_files_that_may_hold_events_of_the_scope_are_opened(world: World) -> None:
    world.land_raw(range(40))
    world.land_raw(range(50, 60), ELEVEN)
    world.land_raw(range(60, 100), ELEVEN)
    raw = world.lake.load(RAW)
    events = TableEvents.at(newest(raw), raw, world.plan)
    span = Span(topic="playback", partition=0, begin=55, end=58)
    assert len(list(events._files(Scope(times=hours([TEN]), spans=(span.model_copy(update={"begin": 0}),))))) == 1
    assert len(list(events._files(Scope(spans=(span,))))) == 1
    read = [record for _, records in events.records(Scope(spans=(span,))) for record in records]
    assert [(each.partition, each.offset, each.value) for each in read] == [(0, n, payload(n)) for n in (55, 56, 57)]


def test_a_table_without_payloads_is_refused(world: World) -> None:
    with pytest.raises(InvalidSpec, match="is no raw table"):
        TableEvents.at(newest(world.table), world.table, world.plan)


def test_a_raw_table_without_rows_is_refused(world: World) -> None:
    with pytest.raises(InvalidSpec, match="has no rows"):
        world.run()


def test_times_of_which_the_raw_table_has_nothing_are_refused(world: World) -> None:
    world.land_raw(range(50, 60), ELEVEN)
    other = Request(times=hours([TEN.replace(hour=3)]), from_table=RAW)
    with pytest.raises(Terminal, match="holds no events of playback"):
        world.run(other)
    assert world.cluster.submitted == []


def test_a_snapshot_that_is_no_more_is_told(world: World) -> None:
    world.land_raw(range(3))
    raw = world.lake.load(RAW)
    with pytest.raises(Terminal, match="has expired"):
        TableEvents.at(TableSnapshot(table=RAW, snapshot_id=1), raw, world.plan)
