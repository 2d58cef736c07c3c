"""The Dagster definitions over fakes: what materialising, the jobs and the health sensor do with the control loop."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import dagster as dg
import pytest

from keystone_platform.control.gateways import Gateways
from keystone_platform.definitions import definitions_of
from keystone_platform.defs import keys
from keystone_platform.defs.resource import KeystoneResource
from keystone_platform.errors import Transient
from keystone_platform.plan.deployment import Cause, End
from keystone_platform.plan.healing import FIRST_BACKOFF
from keystone_platform.plan.observation import JobState
from keystone_platform.settings import S3Settings, Settings
from keystone_platform.spec.last_good import load_or_remember
from keystone_platform.spec.loader import load_streams_leniently
from tests.control.fakes import World
from tests.e2e.platform import stream_yaml

ROUTES = ("one.warehouse", "two.warehouse")
SETTINGS = Settings(
    kafka={"bootstrap.servers": "kafka:9092"},
    s3=S3Settings(endpoint="http://s3", access_key_id="a", secret_access_key="s"),
    catalog={"type": "sql", "uri": "sqlite://"},
    flink_rest="http://flink:8081",
    dagster_url="http://dagster:3000",
    ledger_url="sqlite://",
)


@pytest.fixture
def resource(world: World) -> KeystoneResource:
    class FakeResource(KeystoneResource):
        """Hands out the world's fakes; Dagster copies it, so it holds them by closure."""

        def settings(self) -> Settings:
            return SETTINGS

        def gateways(self) -> Gateways:
            return world.gateways

    return FakeResource()


@pytest.fixture
def defs(tmp_path: Path, resource: KeystoneResource) -> dg.Definitions:
    folder = tmp_path / "streams"
    folder.mkdir()
    for stream in ("one", "two"):
        (folder / f"{stream}.yaml").write_text(stream_yaml(stream))
    (folder / "bad.yaml").write_text("stream: [")
    return definitions_of(load_streams_leniently(folder), resource)


def materialise(defs: dg.Definitions, *routes: str, raise_on_error: bool = True) -> dg.ExecuteInProcessResult:
    job = defs.resolve_implicit_global_asset_job_def()
    selection = [keys.router_key(route) for route in routes]
    instance = dg.DagsterInstance.ephemeral()
    return job.execute_in_process(
        asset_selection=selection,
        instance=instance,
        raise_on_error=raise_on_error,
    )


def run_job(defs: dg.Definitions, name: str, *routes: str) -> dg.ExecuteInProcessResult:
    job = defs.get_job_def(name)
    config = {"ops": {f"{name}_op": {"config": {"routes": list(routes)}}}}
    return job.execute_in_process(run_config=config, raise_on_error=False)


def test_a_bad_yaml_hides_no_other_stream(defs: dg.Definitions) -> None:
    graph = defs.get_repository_def().asset_graph
    assert {key.to_user_string() for key in graph.get_all_asset_keys()} == {
        "topic/one",
        "topic/two",
        "router/one/warehouse",
        "router/two/warehouse",
    }


def test_materialising_two_routers_deploys_both_from_one_jvm(defs: dg.Definitions, world: World) -> None:
    result = materialise(defs, *ROUTES)
    events = {event.asset_key: event.materialization.metadata for event in result.get_asset_materialization_events()}
    assert set(events) == {keys.router_key(route) for route in ROUTES}
    for route in ROUTES:
        deployment = world.ledger.latest()[route]
        metadata = events[keys.router_key(route)]
        assert metadata[keys.JOB_ID].value == deployment.job_id
        assert metadata[keys.EPOCH].value == 1
        assert deployment.job_id in str(metadata[keys.JOB_URL].value)
    assert world.submitter.calls == 1
    assert all(check.passed for check in result.get_asset_check_evaluations())


def test_a_router_that_cannot_be_deployed_fails_the_run_and_the_other_is_deployed(
    defs: dg.Definitions, world: World
) -> None:
    materialise(defs, "one.warehouse")
    world.submitter.uncompilable.add(world.ledger.latest()["one.warehouse"].plan.digest)
    world.flink.forget()
    result = materialise(defs, *ROUTES, raise_on_error=False)
    assert not result.success
    assert [event.asset_key for event in result.get_asset_materialization_events()] == [
        keys.router_key("two.warehouse")
    ]
    failure = next(event for event in result.all_events if event.is_step_failure)
    assert "one.warehouse: Flink refused it" in str(failure.step_failure_data.user_failure_data)


def test_materialising_a_stream_whose_file_is_broken_now_fails_with_its_place_and_the_router_runs_on(
    tmp_path: Path, resource: KeystoneResource, world: World
) -> None:
    folder, memory = tmp_path / "files", tmp_path / "memory"
    folder.mkdir()
    (folder / "one.yaml").write_text(stream_yaml("one"))
    materialise(definitions_of(load_or_remember(folder, memory), resource), "one.warehouse")
    (folder / "one.yaml").write_text(stream_yaml("one", where="contry = 'US'"))
    broken = definitions_of(load_or_remember(folder, memory), resource)
    result = materialise(broken, "one.warehouse", raise_on_error=False)
    failure = next(event for event in result.all_events if event.is_step_failure)
    assert "one.yaml:7: routes[0].filter" in str(failure.step_failure_data.user_failure_data)
    assert world.flink.known[world.ledger.latest()["one.warehouse"].job_id].is_running


def test_the_jobs_stop_and_restart_what_is_chosen_and_nothing_else(defs: dg.Definitions, world: World) -> None:
    materialise(defs, *ROUTES)
    assert run_job(defs, "restart_routers", "one.warehouse").success
    assert run_job(defs, "stop_routers", "two.warehouse").success
    latest = world.ledger.latest()
    assert (latest["one.warehouse"].epoch, latest["one.warehouse"].cause) == (2, Cause.RESTART)
    assert (latest["two.warehouse"].epoch, latest["two.warehouse"].end) == (1, End.STOPPED)


def test_materialising_a_suspended_router_stops_it_and_says_so(
    tmp_path: Path, resource: KeystoneResource, world: World
) -> None:
    folder = tmp_path / "files"
    folder.mkdir()
    (folder / "one.yaml").write_text(stream_yaml("one"))
    materialise(definitions_of(load_streams_leniently(folder), resource), "one.warehouse")
    (folder / "one.yaml").write_text(stream_yaml("one") + "    state: suspended\n")
    result = materialise(definitions_of(load_streams_leniently(folder), resource), "one.warehouse")
    (event,) = result.get_asset_materialization_events()
    assert event.materialization.metadata[keys.STATE].value == "stopped"
    checks = {each.check_name: (each.passed, each.description) for each in result.get_asset_check_evaluations()}
    assert checks == {
        keys.RUNNING_CHECK: (True, "suspended in its YAML"),
        keys.PROGRESS_CHECK: (True, "nothing runs (stopped)"),
    }
    assert world.ledger.latest()["one.warehouse"].end is End.STOPPED


def test_a_job_over_an_unknown_route_fails_and_names_the_known_ones(defs: dg.Definitions) -> None:
    result = run_job(defs, "restart_routers", "on.warehouse")
    failure = next(event for event in result.all_events if event.is_step_failure)
    assert "Did you mean 'one.warehouse'" in str(failure.step_failure_data)


class Sensor:
    """Ticks the health sensor, with its cursor, on one instance."""

    def __init__(self, defs: dg.Definitions, resource: KeystoneResource, cursor: str | None = None) -> None:
        self._sensor = defs.get_sensor_def("router_health")
        self._defs, self._resource = defs, resource
        self._instance = dg.DagsterInstance.ephemeral()
        self._cursor = cursor

    def tick(self) -> dg.SensorResult:
        context = dg.build_sensor_context(
            instance=self._instance,
            cursor=self._cursor,
            definitions=self._defs,
            resources={"keystone": self._resource},
        )
        result = self._sensor(context)
        assert isinstance(result, dg.SensorResult)
        self._cursor = result.cursor
        return result


def test_the_sensor_asks_for_one_run_for_all_that_is_down_and_waits_before_it_asks_again(
    defs: dg.Definitions, resource: KeystoneResource, world: World
) -> None:
    materialise(defs, *ROUTES)
    sensor = Sensor(defs, resource)
    assert not sensor.tick().run_requests
    world.flink.forget()
    (request,) = sensor.tick().run_requests or []
    assert set(request.asset_selection or ()) == {keys.router_key(route) for route in ROUTES}
    assert float(request.tags["dagster/max_runtime"]) > 0, "a run that died unseen would bar the route for good"
    assert not sensor.tick().run_requests
    world.clock.time += FIRST_BACKOFF + timedelta(seconds=1)
    (again,) = sensor.tick().run_requests or []
    assert again.run_key != request.run_key


def test_the_sensor_asks_for_a_rollback_of_a_changed_plan_that_fails_and_the_job_goes_back(
    tmp_path: Path, resource: KeystoneResource, world: World
) -> None:
    folder = tmp_path / "files"
    folder.mkdir()
    for where in (None, "n > 1"):
        (folder / "one.yaml").write_text(stream_yaml("one", where=where))
        defs = definitions_of(load_streams_leniently(folder), resource)
        materialise(defs, "one.warehouse")
    bad = world.ledger.latest()["one.warehouse"]
    world.flink.set_state(bad.job_id, JobState.FAILED)
    (request,) = Sensor(defs, resource).tick().run_requests or []
    assert request.job_name == keys.ROLLBACK_JOB
    job = defs.get_job_def(keys.ROLLBACK_JOB)
    assert job.execute_in_process(run_config=request.run_config).success
    back = world.ledger.latest()["one.warehouse"]
    assert (back.epoch, back.cause) == (3, Cause.ROLLBACK)
    assert job.execute_in_process(run_config=request.run_config).success
    assert world.ledger.latest()["one.warehouse"] == back, "a run that comes late leaves the newer deployment alone"

    held = materialise(defs, "one.warehouse", raise_on_error=False)
    failure = next(event for event in held.all_events if event.is_step_failure)
    assert "keystone rollback one.warehouse --to 2" in str(failure.step_failure_data.user_failure_data)


def test_the_sensor_reports_a_router_that_is_down_and_never_touches_flink(
    defs: dg.Definitions, resource: KeystoneResource, world: World
) -> None:
    materialise(defs, "one.warehouse")
    sensor = Sensor(defs, resource)
    sensor.tick()
    world.flink.forget()
    checks = [event for event in sensor.tick().asset_events if isinstance(event, dg.AssetCheckEvaluation)]
    assert [(check.asset_key, check.passed) for check in checks] == [(keys.router_key("one.warehouse"), False)]
    assert not world.flink.known
    assert world.submitter.calls == 1


def test_the_sensor_skips_and_keeps_its_cursor_while_flink_does_not_answer(
    defs: dg.Definitions, resource: KeystoneResource, world: World
) -> None:
    materialise(defs, "one.warehouse")
    sensor = Sensor(defs, resource)
    before = sensor.tick().cursor
    world.flink.reachable = False
    result = sensor.tick()
    assert "does not answer" in str(result.skip_reason)
    assert result.cursor == before


def test_the_sensor_skips_and_says_so_while_the_ledger_cannot_be_opened(
    defs: dg.Definitions, resource: KeystoneResource, world: World
) -> None:
    class NoLedger(KeystoneResource):
        def gateways(self) -> Gateways:
            message = "the ledger is gone"
            raise Transient(message)

    materialise(defs, "one.warehouse")
    sensor = Sensor(defs, resource)
    before = sensor.tick().cursor
    result = Sensor(defs, NoLedger(), before).tick()
    assert "the ledger is gone" in str(result.skip_reason)
    assert result.cursor == before
