"""The autoscaler from the sensor to the ledger, over fakes: when it asks, that the job does it, and that it stays."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import dagster as dg
import pytest

from keystone_platform.control.autoscaling import ASK_AGAIN
from keystone_platform.control.goals import planned_routes
from keystone_platform.control.preview import preview
from keystone_platform.definitions import definitions_of
from keystone_platform.defs import keys
from keystone_platform.defs.resource import KeystoneResource
from keystone_platform.plan.autoscale_forecast import hours_of
from keystone_platform.plan.deployment import Cause
from keystone_platform.plan.progress import Reading
from keystone_platform.plan.scale import scaled
from keystone_platform.settings import STREAMS_VARIABLE
from keystone_platform.spec.loader import load_streams_leniently
from tests.control.fakes import World
from tests.control.test_definitions import Sensor, materialise, resource
from tests.e2e.platform import stream_yaml

__all__ = ["resource"]

ROUTE = "one.warehouse"
TICK = timedelta(seconds=30)


class Watched:
    """A router with bounds under traffic, looked at by the sensor twice a minute."""

    def __init__(self, folder: Path, resource: KeystoneResource, world: World, mode: str) -> None:
        self.world, self.folder = world, folder
        bounds = f"    autoscale: {{max: 8, mode: {mode}}}\n"
        (folder / "one.yaml").write_text(stream_yaml("one").replace("partitions: 2", "partitions: 8") + bounds)
        self.defs = definitions_of(load_streams_leniently(folder), resource)
        materialise(self.defs, ROUTE)
        self.sensor = Sensor(self.defs, resource)
        self.events = 0

    @property
    def last(self) -> tuple[int, Cause, int]:
        last = self.world.ledger.latest()[ROUTE]
        return last.epoch, last.cause, last.plan.parallelism

    def tick(self, per_s: float, busy: float, lag: int = 0) -> tuple[list[dg.RunRequest], list[dg.AssetObservation]]:
        """Let the router read so much for TICK, and return the rescales that are asked for and what is decided."""
        self.world.clock.time += TICK
        self.events += int(per_s * TICK.total_seconds())
        last = self.world.ledger.latest()[ROUTE]
        self.world.flink.reading[last.job_id] = Reading(last.plan.parallelism, self.events, per_s, lag, busy, 0.0)
        self.world.flink.checkpoint(last.job_id)
        result = self.sensor.tick()
        requests = [each for each in result.run_requests or [] if each.job_name == keys.RESCALE_JOB]
        events = [each for each in result.asset_events if isinstance(each, dg.AssetObservation)]
        return requests, [each for each in events if keys.SCALING in each.metadata]

    def until_asked(self, per_s: float, busy: float) -> dg.RunRequest:
        for _ in range(8):
            requests, _ = self.tick(per_s, busy)
            if requests:
                return requests[0]
        message = "nothing was asked for"
        raise AssertionError(message)

    def run(self, request: dg.RunRequest) -> None:
        assert self.defs.get_job_def(keys.RESCALE_JOB).execute_in_process(run_config=request.run_config).success


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "declared"
    folder.mkdir()
    monkeypatch.setenv(STREAMS_VARIABLE, str(folder))
    return folder


def test_who_only_observes_is_told_what_would_be_done_and_nothing_is_asked_for(
    folder: Path, resource: KeystoneResource, world: World
) -> None:
    watched = Watched(folder, resource, world, "observe")
    told = []
    for _ in range(6):
        requests, observations = watched.tick(1000.0, busy=1.0)
        assert requests == []
        told += observations
    assert len(told) == 1, "the same decision is not told again every minute"
    assert told[0].metadata[keys.WANTED_PARALLELISM].value == 2
    assert told[0].metadata[keys.CAPACITY].value == pytest.approx(1000)
    assert "1,000 events/s arrive" in str(told[0].metadata[keys.SCALING].value)
    assert watched.last == (1, Cause.DEPLOY, 1)


def test_a_busy_router_is_rescaled_and_stays_so_whoever_applies_it(
    folder: Path, resource: KeystoneResource, world: World
) -> None:
    watched = Watched(folder, resource, world, "act")
    request = watched.until_asked(1000.0, busy=1.0)
    assert watched.tick(1000.0, busy=1.0)[0] == [], "it is not asked for again while it may be under way"
    watched.run(request)
    assert watched.last == (2, Cause.RESCALE, 2)
    assert "1,000 events/s arrive" in world.ledger.history(ROUTE)[1].note
    materialise(watched.defs, ROUTE)
    assert watched.last == (2, Cause.RESCALE, 2)
    (item,) = preview(world.gateways, planned_routes(folder, []))
    assert (item.change, item.why) == ("nothing", "parallelism 2, not 1: autoscale chooses it, from 1 to 8")
    watched.run(request)
    assert watched.last == (2, Cause.RESCALE, 2), "a run that comes late leaves the newer deployment alone"


def test_what_was_asked_for_and_did_not_happen_is_asked_for_again_later(
    folder: Path, resource: KeystoneResource, world: World
) -> None:
    watched = Watched(folder, resource, world, "act")
    first = watched.until_asked(1000.0, busy=1.0)
    asked = world.clock.now()
    asked_again = (requests for _ in range(30) if (requests := watched.tick(1000.0, busy=1.0)[0]))
    again = next(asked_again)[0]
    assert world.clock.now() - asked >= ASK_AGAIN
    assert again.run_key != first.run_key


@pytest.mark.parametrize(
    ("mode", "route", "parallelism", "said"),
    [
        ("act", ROUTE, 9, "not within its bounds, 1 to 8"),
        ("observe", ROUTE, 2, "its size is what its YAML says"),
        ("act", "on.warehouse", 2, "Did you mean 'one.warehouse'"),
    ],
)
def test_a_size_that_nobody_declared_is_refused(
    folder: Path, resource: KeystoneResource, world: World, mode: str, route: str, parallelism: int, said: str
) -> None:
    watched = Watched(folder, resource, world, mode)
    config = {"ops": {f"{keys.RESCALE_JOB}_op": {"config": {"route": route, "parallelism": parallelism}}}}
    job = watched.defs.get_job_def(keys.RESCALE_JOB)
    failed = job.execute_in_process(run_config=config, raise_on_error=False)
    failure = next(event for event in failed.all_events if event.is_step_failure)
    assert said in str(failure.step_failure_data)
    assert watched.last == (1, Cause.DEPLOY, 1)


def test_another_declared_plan_keeps_the_size_and_a_smaller_bound_takes_it_back(
    folder: Path, resource: KeystoneResource, world: World
) -> None:
    watched = Watched(folder, resource, world, "act")
    watched.run(watched.until_asked(1000.0, busy=1.0))
    declared = (folder / "one.yaml").read_text()
    (folder / "one.yaml").write_text(declared.replace("    select", "    filter: n > 1\n    select"))
    materialise(definitions_of(load_streams_leniently(folder), resource), ROUTE)
    assert watched.last == (3, Cause.UPGRADE, 2)
    (folder / "one.yaml").write_text(declared.replace("max: 8", "max: 1"))
    materialise(definitions_of(load_streams_leniently(folder), resource), ROUTE)
    assert watched.last == (4, Cause.UPGRADE, 1)


def test_the_same_hours_of_past_weeks_count(folder: Path, resource: KeystoneResource, world: World) -> None:
    watched = Watched(folder, resource, world, "act")
    a_day = 24 * 3600
    world.kafka.arrived["one"] = {
        hour + timedelta(minutes=1): 3600 * (100 if abs((world.clock.now() - hour).total_seconds()) < a_day else 2000)
        for hour in hours_of(world.clock.now())
    }
    request = watched.until_asked(100.0, busy=0.1)
    assert "past weeks" in str(request.run_config)
    assert request.run_config["ops"][f"{keys.RESCALE_JOB}_op"]["config"]["parallelism"] > 1


def test_a_kafka_that_does_not_answer_keeps_no_router_from_being_scaled(
    folder: Path, resource: KeystoneResource, world: World
) -> None:
    watched = Watched(folder, resource, world, "act")
    world.kafka.reachable = False
    assert watched.until_asked(1000.0, busy=1.0)


def test_a_restart_by_flink_is_no_negative_load(folder: Path, resource: KeystoneResource, world: World) -> None:
    watched = Watched(folder, resource, world, "act")
    for _ in range(3):
        watched.tick(100.0, busy=0.3)
    watched.events = 0
    for _ in range(4):
        assert watched.tick(100.0, busy=0.3)[0] == []


def test_a_plan_that_was_rolled_back_is_not_tried_again_at_another_size(
    folder: Path, resource: KeystoneResource, world: World
) -> None:
    watched = Watched(folder, resource, world, "act")
    declared = (folder / "one.yaml").read_text()
    (folder / "one.yaml").write_text(declared.replace("    select", "    filter: n > 1\n    select"))
    bad = definitions_of(load_streams_leniently(folder), resource)
    materialise(bad, ROUTE)
    rollback = {"ops": {f"{keys.ROLLBACK_JOB}_op": {"config": {"route": ROUTE}}}}
    assert bad.get_job_def(keys.ROLLBACK_JOB).execute_in_process(run_config=rollback).success
    good = world.ledger.latest()[ROUTE]
    watched.world.flink.reading.clear()
    for cause, parallelism in ((Cause.ROLLBACK, 1), (Cause.RESCALE, 2)):
        if cause is Cause.RESCALE:
            watched.run(watched.until_asked(1000.0, busy=1.0))
        materialise(bad, ROUTE, raise_on_error=False)
        last = world.ledger.latest()[ROUTE]
        assert (last.cause, last.plan) == (cause, scaled(good.plan, parallelism))
