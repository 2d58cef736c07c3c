"""What people are told of a route's checkpoints, also when some server does not tell."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import dagster as dg
import pytest

from keystone_platform.control.checkpoints import inspect_checkpoints
from keystone_platform.control.gateways import Gateways
from keystone_platform.control.goal import Goal
from keystone_platform.control.reconcile import reconcile
from keystone_platform.defs import keys
from keystone_platform.defs.checkpoints import checkpoints_job
from keystone_platform.defs.resource import KeystoneResource
from keystone_platform.errors import InvalidSpec
from keystone_platform.gateways.kafka import Offsets
from keystone_platform.gateways.objects import StoredObject
from keystone_platform.plan.checkpoint_report import CheckpointReport
from keystone_platform.plan.deployment import Deployment
from keystone_platform.plan.observation import CheckpointAttempt
from keystone_platform.plan.router_plan import KafkaTarget
from tests.control.fakes import World, a_plan, make_world

PLAN = a_plan()
ROUTE, TABLE = PLAN.route, "events.playback"


@pytest.fixture
def world(tmp_path: Path) -> World:
    made = make_world(tmp_path)
    made.kafka.reaches["playback"] = Offsets({0: 0, 1: 0}, {0: 500, 1: 500})
    return made


def deployed(world: World) -> Deployment:
    (verdict,) = reconcile(world.gateways, [Goal(PLAN, 2)])
    assert verdict.deployment, verdict.message
    return verdict.deployment


def checkpoint(world: World, job_id: str, holds: str) -> str:
    """Complete one, ten seconds after the one before."""
    world.clock.sleep(10)
    uri = world.flink.checkpoint(job_id, holds)
    world.objects.modified[f"{uri}/_metadata"] = world.clock.now()
    return uri


def look(world: World, last: int = 20) -> CheckpointReport:
    return inspect_checkpoints(world.gateways, ROUTE, last)


def test_newest_first_and_marked_where_the_next_start_begins(world: World) -> None:
    job_id = deployed(world).job_id
    older = checkpoint(world, job_id, "playback:0:100;playback:1:90")
    newest = checkpoint(world, job_id, "playback:0:300;playback:1:250")
    world.lake.landed[TABLE] = {"playback": {0: 300, 1: 240}}
    world.lake.commits[TABLE, job_id] = 2
    world.clock.sleep(5)
    report = look(world)
    assert [(line.uri, line.checkpoint_id, line.epoch) for line in report.lines] == [(newest, 2, 1), (older, 1, 1)]
    assert [(line.is_restart_point, report.age_s(line), line.lag) for line in report.lines] == [
        (True, 5, 450),
        (False, 15, 810),
    ]
    assert [line.remarks for line in report.lines[:1]] == [()]
    assert report.lines[1].remarks[0].startswith("older than events.playback (350 offsets)")
    assert report.restart == newest


def test_a_savepoint_of_an_earlier_epoch_has_its_own_id_and_epoch(world: World) -> None:
    first = deployed(world)
    checkpoint(world, first.job_id, "playback:0:100")
    world.flink.stop_with_savepoint(first.job_id, world.gateways.savepoint_directory(ROUTE, first.job_id), 1)
    second = deployed(world)
    checkpoint(world, second.job_id, "playback:0:400;playback:1:1")
    lines = look(world).lines
    assert [(line.kind, line.epoch, line.checkpoint_id) for line in lines] == [
        ("checkpoint", 2, 1),
        ("checkpoint", 1, 1),
        ("savepoint", 1, 2),
    ]
    assert [line.is_restart_point for line in lines] == [True, False, False]


def test_what_can_not_be_read_says_so_in_its_row_only(world: World) -> None:
    job_id = deployed(world).job_id
    checkpoint(world, job_id, "")
    checkpoint(world, job_id, "playback:0:300")
    readable, unreadable = look(world).lines
    assert (readable.unreadable, unreadable.held) == ("", ())
    assert unreadable.unreadable == "no source has left its state in it"
    assert unreadable.as_json()["offsets_not_readable"] == unreadable.unreadable


def test_flink_tells_how_long_they_took_and_which_failed(world: World) -> None:
    job_id = deployed(world).job_id
    uri = checkpoint(world, job_id, "playback:0:300;playback:1:250")
    now, second = world.clock.now(), timedelta(seconds=1)
    world.flink.remembered[job_id] = (
        CheckpointAttempt(4, "in progress", False, now + 3 * second, 0.5, 10),
        CheckpointAttempt(3, "failed", True, now + 2 * second, 9.0, 0, failure="S3 answered 503"),
        CheckpointAttempt(1, "completed", False, now, 1.25, 900, uri),
        CheckpointAttempt(0, "completed", False, now - second, 2.0, 900, f"{uri}-deleted"),
    )
    lines = look(world).lines
    assert [(line.status, line.kind, line.took_s) for line in lines] == [
        ("in progress", "checkpoint", 0.5),
        ("failed", "savepoint", 9.0),
        ("retained", "checkpoint", 1.25),
        ("subsumed", "checkpoint", 2.0),
    ]
    assert lines[1].remarks == ("S3 answered 503",)


def test_servers_that_do_not_answer_are_told_and_the_list_is_shown(world: World) -> None:
    job_id = deployed(world).job_id
    checkpoint(world, job_id, "playback:0:300;playback:1:250")
    world.flink.reachable = False
    report = look(world)
    assert [note.partition(":")[0] for note in report.notes] == ["how long they took, and which failed, is not known"]
    assert [line.lag for line in report.lines] == [450]


def test_where_nothing_is_left_it_says_that_the_table_is_gone_on_with(world: World) -> None:
    job_id = deployed(world).job_id
    world.lake.commits[TABLE, job_id] = 7
    world.lake.landed[TABLE] = {"playback": {0: 300, 1: 250}}
    report = look(world)
    assert report.lines == ()
    assert report.restart == "where its table ends, playback:0:300;playback:1:250"


def test_what_is_committed_while_it_looks_accuses_no_checkpoint(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    checkpoint(world, deployed(world).job_id, "playback:0:100;playback:1:90")
    listed = world.objects.listed

    def listed_then_committed(prefix: str) -> tuple[StoredObject, ...]:
        found = listed(prefix)
        world.lake.landed[TABLE] = {"playback": {0: 300, 1: 250}}
        return found

    monkeypatch.setattr(world.objects, "listed", listed_then_committed)
    (line,) = look(world).lines
    assert line.remarks == ()


def test_a_route_without_a_table_is_told_of_without_one(world: World) -> None:
    plan = a_plan("playback.onward").model_copy(update={"target": KafkaTarget(topic="onward")})
    (verdict,) = reconcile(world.gateways, [Goal(plan, 2)])
    assert verdict.deployment, verdict.message
    older = checkpoint(world, verdict.deployment.job_id, "playback:0:1")
    newest = checkpoint(world, verdict.deployment.job_id, "playback:0:300")
    report = inspect_checkpoints(world.gateways, plan.route, 20)
    assert (report.table, report.restart) == (None, newest)
    assert [(line.uri, line.lag, line.remarks) for line in report.lines] == [(newest, 700, ()), (older, 999, ())]


def test_older_ones_are_counted_not_read(world: World) -> None:
    job_id = deployed(world).job_id
    for number in range(5):
        checkpoint(world, job_id, f"playback:0:{number}")
    report = look(world, last=2)
    assert ([line.checkpoint_id for line in report.lines], report.left_out) == ([5, 4], 3)


def test_a_folder_without_metadata_is_incomplete(world: World) -> None:
    job_id = deployed(world).job_id
    folder = f"{world.gateways.checkpoint_directory(ROUTE)}/{job_id}"
    world.objects.stored |= {f"{folder}/chk-9/some-file": b"123", f"{folder}/shared/other": b"1"}
    (line,) = look(world).lines
    assert (line.status, line.checkpoint_id, line.bytes, line.held, line.is_restart_point) == (
        "incomplete",
        9,
        3,
        (),
        False,
    )


def test_a_route_that_was_never_deployed_is_refused_with_a_close_name(world: World) -> None:
    deployed(world)
    with pytest.raises(InvalidSpec, match=r"Did you mean 'playback\.warehouse'"):
        inspect_checkpoints(world.gateways, "playback.warehose", 1)


def test_the_dagster_job_puts_the_table_on_the_routers_page(world: World) -> None:
    class FakeResource(KeystoneResource):
        def gateways(self) -> Gateways:
            return world.gateways

    newest = checkpoint(world, deployed(world).job_id, "playback:0:300;playback:1:250")
    world.clock.sleep(5)
    config = {"ops": {f"{keys.CHECKPOINTS_JOB}_op": {"config": {"routes": ["playback.*"]}}}}
    with dg.DagsterInstance.ephemeral() as instance:
        job = checkpoints_job()
        assert job.execute_in_process(config, instance, resources={"keystone": FakeResource()}).success
        (record,) = instance.fetch_observations(keys.router_key(ROUTE), limit=5).records
    metadata = record.asset_observation.metadata if record.asset_observation else {}
    assert metadata[keys.NEXT_START].value == newest
    assert (metadata[keys.CHECKPOINT_AGE].value, metadata[keys.CHECKPOINT_LAG].value) == (5.0, 450)
    (row,) = metadata[keys.CHECKPOINTS].records  # type: ignore[attr-defined]
    assert row.data["offsets"] == "playback:0:300 / 500 / -\nplayback:1:250 / 500 / -"
