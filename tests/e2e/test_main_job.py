"""The main job on real servers: nothing lost, nothing doubled, whatever is done to it."""

from __future__ import annotations

import json
import os
import signal
import threading
from collections import Counter
from collections.abc import Iterator

import pyarrow.compute as pc
import pytest
from typer.testing import CliRunner

from assets.compaction.compact import CompactionReport, compact_table
from keystone_platform.cli import app
from keystone_platform.control.checkpoints import inspect_checkpoints
from keystone_platform.control.goal import Verdict
from keystone_platform.errors import InvalidSpec
from keystone_platform.gateways.dagster_api import PLATFORM_LOCATION, WAREHOUSE_LOCATION, RunStatus
from keystone_platform.gateways.lake import IcebergLake
from keystone_platform.plan.checkpoint_report import CheckpointLine
from keystone_platform.plan.decide import Act
from keystone_platform.plan.deployment import Cause, Deployment
from keystone_platform.plan.submission import Submission
from tests.e2e.platform import Counted, Platform, stream_yaml, wait_for

pytestmark = pytest.mark.stack


def running(verdict: Verdict) -> Deployment:
    assert verdict.ok, verdict.message
    assert verdict.deployment is not None
    return verdict.deployment


def exactly(rows: int) -> Counted:
    return Counted(rows=rows, distinct=rows, gaps=0)


@pytest.fixture
def background() -> Iterator[list[threading.Thread]]:
    """Threads that a test starts are over before the next one begins."""
    threads: list[threading.Thread] = []
    yield threads
    for thread in threads:
        if thread.ident is not None:
            thread.join(120)


@pytest.mark.drill
def test_a_killed_task_manager_loses_and_doubles_nothing(
    platform: Platform, background: list[threading.Thread]
) -> None:
    events = 100_000
    platform.declare("killed", stream_yaml("killed"))
    running(platform.apply("killed.warehouse"))
    producing = threading.Thread(
        target=platform.produce, args=("killed", range(events)), kwargs={"pause_every": 5_000, "pause_s": 0.7}
    )
    background.append(producing)
    producing.start()
    platform.wait_for_rows("killed", 10_000)
    assert producing.is_alive(), "the kill has to come in the middle"
    victim = platform.stack.pid("flink-taskmanager")
    assert victim is not None
    os.kill(victim, signal.SIGKILL)
    producing.join(120)
    assert platform.wait_for_rows("killed", events, 180) == exactly(events)

    table = IcebergLake(platform.settings).load("tests.killed").scan().to_arrow()
    assert sorted(table["n"].to_pylist()) == list(range(events))
    assert pc.count_distinct(table["_guid"]).as_py() == events
    after = platform.gateways.flink.job(platform.latest("killed.warehouse").job_id)
    assert after is not None
    assert after.is_running


def test_a_changed_filter_goes_through_a_savepoint_and_is_right_before_and_after(platform: Platform) -> None:
    platform.declare("filtered", stream_yaml("filtered", where="country = 'US'"))
    first = running(platform.apply("filtered.warehouse"))
    platform.produce("filtered", range(4_000))
    platform.wait_for_rows("filtered", 1_000)
    platform.declare("filtered", stream_yaml("filtered", where="country in ('BR', 'DE') and n >= 5000"))
    second = running(platform.apply("filtered.warehouse"))
    assert (second.cause, second.restore_from is not None) == (Cause.UPGRADE, True)
    platform.produce("filtered", range(4_000, 8_000))
    expected = [n for n in range(4_000) if n % 4 == 0] + [n for n in range(5_000, 8_000) if n % 4 in (1, 2)]
    platform.wait_for_rows("filtered", len(expected))
    landed = [n for (n,) in platform.rows("filtered", "SELECT n FROM t ORDER BY n")]
    assert landed == expected
    assert platform.gateways.flink.checkpoints(second.job_id).restored_from == second.restore_from
    assert running(platform.apply("filtered.warehouse")).epoch == second.epoch
    assert first.epoch + 1 == second.epoch


def test_the_committer_is_sink_v2_since_v1_loses_rows(platform: Platform) -> None:
    platform.declare("filtered", stream_yaml("filtered", where="country in ('BR', 'DE') and n >= 5000"))
    deployment = running(platform.apply("filtered.warehouse"))
    names = platform.vertices(deployment.job_id)
    assert any("Sink pre-commit aggregator" in name for name in names), names
    assert any("Committer" in name for name in names), names


def test_an_invalid_yaml_is_refused_and_the_running_router_goes_on(platform: Platform) -> None:
    platform.declare("steady", stream_yaml("steady"))
    first = running(platform.apply("steady.warehouse"))
    platform.declare("steady", stream_yaml("steady", where="contry = 'US'"))
    with pytest.raises(InvalidSpec, match=r"steady\.yaml:\d+: routes\[0\]\.filter: .*contry") as refused:
        platform.apply("steady.warehouse")
    assert "country" in str(refused.value)
    platform.produce("steady", range(1_000))
    assert platform.wait_for_rows("steady", 1_000) == exactly(1_000)
    assert platform.latest("steady.warehouse") == first
    platform.declare("steady", stream_yaml("steady"))


def test_checkpoints_hold_the_offsets_that_kafka_and_the_table_have(platform: Platform) -> None:
    route, topic = "steady.warehouse", "steady"

    def caught_up() -> CheckpointLine | None:
        newest = inspect_checkpoints(platform.gateways, route, 20).newest
        return newest if newest and newest.lag == 0 and newest.is_restart_point else None

    newest = wait_for("a checkpoint of all events, which a start would begin from", caught_up, 60)
    held = {each.partition: each.offset for each in newest.held if each.topic == topic}
    assert held == platform.gateways.kafka.offsets(topic).end
    assert held == platform.gateways.lake.next_offsets("tests.steady", [topic])[topic]
    latest = platform.latest(route)
    assert (newest.epoch, newest.job_id) == (latest.epoch, latest.job_id)
    assert newest.took_s is not None
    assert newest.remarks == ()

    answer = CliRunner().invoke(app, ["checkpoints", route, "--json"])
    told = json.loads(answer.stdout)
    assert {each["offsets_not_readable"] for each in told["checkpoints"] if each["status"] == "retained"} == {None}
    assert told["notes"] == []


def test_a_reader_sees_each_row_once_at_every_moment_of_a_compaction(
    platform: Platform, background: list[threading.Thread]
) -> None:
    platform.declare("compacted", stream_yaml("compacted", interval_s=1))
    running(platform.apply("compacted.warehouse"))
    produced = 0
    writing_ends, reading_ends = threading.Event(), threading.Event()

    def write() -> None:
        nonlocal produced
        while not writing_ends.wait(0.3):
            platform.produce("compacted", range(produced, produced + 500))
            produced += 500

    seen: list[Counted] = []

    def read() -> None:
        while not reading_ends.is_set():
            seen.append(platform.counted("compacted"))

    lake = IcebergLake(platform.settings)
    reports: list[CompactionReport] = []

    def has_collided() -> bool:
        reports.extend(compact_table(lake, "tests.compacted"))
        return len([report for report in reports if report.snapshot_id]) >= 2 and len(seen) >= 5

    writing, reading = threading.Thread(target=write), threading.Thread(target=read)
    background += [writing, reading]
    try:
        writing.start()
        platform.wait_for_rows("compacted", 1_000)
        reading.start()
        wait_for("two compactions collided with the router's commits", has_collided, 120)
        writing_ends.set()
        writing.join()
        platform.wait_for_rows("compacted", produced)
        compact_table(lake, "tests.compacted")
    finally:
        writing_ends.set()
        reading_ends.set()
    reading.join(60)

    assert [counted for counted in seen if counted.rows != counted.distinct] == []
    assert [counted.rows for counted in seen] == sorted(counted.rows for counted in seen)
    assert platform.counted("compacted") == exactly(produced)
    assert Counter(n for (n,) in platform.rows("compacted", "SELECT n FROM t")) == Counter(range(produced))


def test_a_second_copy_of_a_router_is_refused_by_the_cluster(platform: Platform) -> None:
    deployment = running(platform.apply("steady.warehouse"))
    copy = Submission(
        plan=deployment.plan,
        epoch=deployment.epoch,
        job_id=deployment.job_id,
        restore_from=None,
        checkpoint_directory=platform.gateways.checkpoint_directory(deployment.route),
        savepoint_directory=platform.gateways.savepoint_directory(deployment.route, deployment.job_id),
    )
    (outcome,) = platform.gateways.submitter.submit([copy])
    assert outcome.status == "duplicate"


def test_a_router_cancelled_behind_dagsters_back_is_redeployed_from_its_checkpoint(platform: Platform) -> None:
    first = running(platform.apply("healed.warehouse"))
    platform.produce("healed", range(5_000))
    platform.wait_for_rows("healed", 5_000)
    platform.gateways.flink.cancel(first.job_id, 60)
    platform.produce("healed", range(5_000, 7_000))

    def redeployed() -> Deployment | None:
        latest = platform.latest("healed.warehouse")
        return latest if latest.epoch > first.epoch and latest.outcome else None

    second = wait_for("the sensor has the router redeployed", redeployed, 180)
    assert second.cause is Cause.REDEPLOY
    assert second.restore_from is not None
    assert f"/{first.job_id}/chk-" in second.restore_from
    assert platform.wait_for_rows("healed", 7_000) == exactly(7_000)


def test_a_run_launched_over_graphql_deploys_a_router(platform: Platform) -> None:
    assert [(item.name, item.loaded, item.error) for item in platform.dagster.locations()] == [
        (PLATFORM_LOCATION, True, ""),
        (WAREHOUSE_LOCATION, True, ""),
    ]
    run = platform.dagster.launch_assets(PLATFORM_LOCATION, [["router", "launched", "warehouse"]])
    assert platform.dagster.wait(run, 180) is RunStatus.SUCCESS, platform.dagster.failures(run)
    deployment = platform.latest("launched.warehouse")
    job = platform.gateways.flink.job(deployment.job_id)
    assert job is not None
    assert job.is_running
    assert platform.apply("launched.warehouse").action.act is Act.NOTHING
    platform.produce("launched", range(500))
    assert platform.wait_for_rows("launched", 500) == exactly(500)
