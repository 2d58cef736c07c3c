"""Where a router starts when something of what it left is gone."""

from __future__ import annotations

from pathlib import Path

import pytest

from keystone_platform.control.goal import Goal, Verdict
from keystone_platform.control.reconcile import reconcile
from keystone_platform.errors import Terminal
from keystone_platform.gateways.kafka import Offsets
from keystone_platform.plan.deployment import Deployment
from keystone_platform.plan.recovery import offsets_origin
from keystone_platform.plan.router_plan import RouterPlan
from tests.control.fakes import World, a_plan, make_world

PLAN = a_plan()
TABLE = "events.playback"


@pytest.fixture
def world(tmp_path: Path) -> World:
    made = make_world(tmp_path)
    made.kafka.reaches["playback"] = Offsets({0: 0, 1: 0, 2: 40}, {0: 500, 1: 500, 2: 90})
    return made


def converge(world: World, plan: RouterPlan = PLAN) -> tuple[Verdict, list[str]]:
    told: list[str] = []
    (verdict,) = reconcile(world.gateways, [Goal(plan, 3)], progress=lambda _route, doing: told.append(doing))
    return verdict, told


def deployed(world: World) -> Deployment:
    verdict, _ = converge(world)
    assert verdict.ok, verdict.message
    assert verdict.deployment is not None
    return verdict.deployment


def lose_everything_but_the_table(world: World, landed: dict[int, int]) -> Deployment:
    first = deployed(world)
    world.lake.commits[TABLE, first.job_id] = 7
    world.lake.landed[TABLE] = {"playback": landed}
    world.flink.forget()
    return first


def test_goes_on_where_the_table_ends_when_the_checkpoints_are_gone(world: World) -> None:
    lose_everything_but_the_table(world, {0: 300, 1: 250})
    second = deployed(world)
    assert second.restore_from == offsets_origin({"playback": {0: 300, 1: 250, 2: 40}})
    submitted = world.flink.submissions[-1]
    assert (submitted.restore_from, submitted.start_at) == (None, "playback:0:300;playback:1:250;playback:2:40")


def test_looks_at_the_table_again_when_that_start_came_to_nothing(world: World) -> None:
    lose_everything_but_the_table(world, {0: 300})
    second = deployed(world)
    world.lake.commits[TABLE, second.job_id] = 1
    world.lake.landed[TABLE] = {"playback": {0: 420}}
    world.flink.forget()
    assert world.flink.submissions[-1].start_at == "playback:0:300;playback:1:0;playback:2:40"
    deployed(world)
    assert world.flink.submissions[-1].start_at == "playback:0:420;playback:1:0;playback:2:40"


def test_never_starts_from_a_checkpoint_that_is_older_than_the_newest_commit(world: World) -> None:
    first = deployed(world)
    world.flink.checkpoint(first.job_id)
    world.lake.commits[TABLE, first.job_id] = 2
    world.lake.landed[TABLE] = {"playback": {0: 300}}
    world.flink.forget()
    assert deployed(world).restore_from == offsets_origin({"playback": {0: 300, 1: 0, 2: 40}})


def test_starts_from_the_checkpoint_of_the_newest_commit(world: World) -> None:
    first = deployed(world)
    world.flink.checkpoint(first.job_id)
    newest = world.flink.checkpoint(first.job_id)
    world.lake.commits[TABLE, first.job_id] = 2
    world.lake.landed[TABLE] = {"playback": {0: 300}}
    world.flink.forget()
    assert deployed(world).restore_from == newest


@pytest.mark.parametrize(("holds", "goes_on"), [("playback:0:300;playback:1:9", True), ("playback:0:299", False)])
def test_a_checkpoint_behind_the_table_is_not_used_also_where_the_commits_have_expired(
    world: World, holds: str, goes_on: bool
) -> None:
    first = deployed(world)
    newest = world.flink.checkpoint(first.job_id, holds)
    world.lake.landed[TABLE] = {"playback": {0: 300}}
    world.flink.forget()
    table_ends = offsets_origin({"playback": {0: 300, 1: 0, 2: 40}})
    assert deployed(world).restore_from == (newest if goes_on else table_ends)


def test_a_checkpoint_that_can_not_be_read_is_used_where_the_tables_history_says_nothing(world: World) -> None:
    first = deployed(world)
    newest = world.flink.checkpoint(first.job_id, "")
    world.lake.landed[TABLE] = {"playback": {0: 300}}
    world.flink.forget()
    assert deployed(world).restore_from == newest


def test_a_new_ledger_does_not_land_a_table_twice(world: World) -> None:
    world.lake.landed[TABLE] = {"playback": {0: 300}, "another": {0: 9}}
    assert deployed(world).restore_from == offsets_origin({"playback": {0: 300, 1: 0, 2: 40}})


def test_tells_what_kafka_has_deleted_meanwhile(world: World) -> None:
    lose_everything_but_the_table(world, {2: 30})
    verdict, told = converge(world)
    assert verdict.ok
    assert "playback, partition 2: Kafka has deleted offsets 30 to 39 meanwhile" in told
    assert world.flink.submissions[-1].start_at == "playback:0:0;playback:1:0;playback:2:40"


def test_refuses_a_topic_that_was_made_anew(world: World) -> None:
    lose_everything_but_the_table(world, {0: 501})
    verdict, _ = converge(world)
    assert isinstance(verdict.error, Terminal)
    assert "partition 0, but the topic ends at 500" in verdict.message
    assert len(world.flink.submissions) == 1


def test_refuses_to_start_from_nothing_when_a_table_with_commits_has_lost_its_rows(world: World) -> None:
    lose_everything_but_the_table(world, {})
    world.lake.landed.clear()
    verdict, _ = converge(world)
    assert isinstance(verdict.error, Terminal)
    assert "checkpoints and rows are gone" in verdict.message
    assert len(world.flink.submissions) == 1


def test_starts_from_the_earliest_offsets_when_the_savepoint_is_gone_and_nothing_landed(world: World) -> None:
    first = deployed(world)
    world.flink.stop_with_savepoint(first.job_id, world.gateways.savepoint_directory(PLAN.route, first.job_id), 1)
    second = deployed(world)
    assert second.restore_from is not None
    world.flink.forget()
    world.objects.stored.clear()
    assert deployed(world).restore_from is None
