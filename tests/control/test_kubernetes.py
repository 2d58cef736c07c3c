"""The control loop over routers on Kubernetes, at the moments at which something goes wrong.

What needs no fault of the API server runs on a real one too, where one is named.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from keystone_platform.control.goal import Goal, Verdict
from keystone_platform.control.reconcile import reconcile
from keystone_platform.errors import KeystoneError, Terminal, Transient, UnknownOutcome
from keystone_platform.gateways.flink_deployment import FLEET, manifest, name_of
from keystone_platform.gateways.kubernetes_resource import Resource
from keystone_platform.plan.decide import Request
from keystone_platform.plan.deployment import Cause, Outcome
from keystone_platform.plan.observation import JobState
from keystone_platform.plan.submission import Submission
from keystone_platform.settings import KubernetesSettings
from tests.control.fakes import a_plan
from tests.e2e.platform import wait_for
from tests.kubernetes.api_server import ApiServer
from tests.kubernetes.crd import newest_flink_version
from tests.kubernetes.world import KUBECONFIG_VARIABLE, KubernetesWorld, kubernetes_world, settings_of

PLAN = a_plan()
ROUTE = PLAN.route
CHANGED = a_plan(parallelism=2)


SERVERS = ["stand-in", *(["real"] if KUBECONFIG_VARIABLE in os.environ else [])]


@pytest.fixture(params=SERVERS)
def world(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[KubernetesWorld]:
    with kubernetes_world(tmp_path, real=request.param == "real") as world:
        yield world


@dataclass(frozen=True)
class Faulty:
    """A world whose API server fails on demand."""

    world: KubernetesWorld
    server: ApiServer


@pytest.fixture
def faulty(tmp_path: Path) -> Iterator[Faulty]:
    with kubernetes_world(tmp_path) as world:
        assert world.server
        yield Faulty(world, world.server)


def converge(world: KubernetesWorld, plan: object = PLAN, request: Request = Request.CONVERGE) -> Verdict:
    (verdict,) = reconcile(world.gateways, [Goal(plan, 4)], request)  # type: ignore[arg-type]
    return verdict


def deployed(world: KubernetesWorld) -> Resource:
    """Return the only FlinkDeployment that there is."""
    (resource,) = world.api.list(FLEET)
    return resource


def submission(world: KubernetesWorld, epoch: int, job_id: str) -> Submission:
    gateways = world.gateways
    return Submission(
        plan=PLAN,
        epoch=epoch,
        job_id=job_id,
        restore_from=None,
        checkpoint_directory=gateways.checkpoint_directory(ROUTE),
        savepoint_directory=gateways.savepoint_directory(ROUTE, job_id),
    )


def rendered(world: KubernetesWorld) -> dict[str, Any]:
    """Return the route's first FlinkDeployment, which is not there yet."""
    namespace, version = world.api.namespace, newest_flink_version()
    kubernetes = KubernetesSettings(namespace=namespace, image="keystone:1", flink_version=version)
    return manifest(submission(world, 1, "a" * 32), settings_of(kubernetes), kubernetes)


def test_an_upgrade_starts_from_the_savepoint_and_there_is_one_router(world: KubernetesWorld) -> None:
    assert converge(world).ok
    first = deployed(world)
    verdict = converge(world, CHANGED)
    assert verdict.ok, verdict.message
    second = deployed(world)
    assert (second.name, second.epoch, second.parallelism) == (first.name, 2, 2)
    assert second.uid != first.uid
    started = world.fakes.flink.submissions[-1]
    assert started.restore_from
    assert started.restore_from.startswith(world.gateways.savepoint_directory(ROUTE, first.job_id))


def test_a_stopped_router_stays_suspended_and_starts_again_from_its_savepoint(world: KubernetesWorld) -> None:
    assert converge(world).ok
    assert converge(world, request=Request.STOP).ok
    assert deployed(world).is_suspended
    savepoint = deployed(world).savepoint
    assert converge(world).ok
    assert world.fakes.flink.submissions[-1].restore_from == savepoint


def test_a_router_whose_answer_was_lost_is_found_and_adopted(faulty: Faulty) -> None:
    world, server = faulty.world, faulty.server
    server.loses_answers_to.add("POST")
    verdict = converge(world)
    assert verdict.ok, verdict.message
    assert verdict.deployment
    assert verdict.deployment.outcome is Outcome.SUBMITTED
    assert deployed(world).job_id == verdict.deployment.job_id


def test_a_router_that_may_have_been_made_is_looked_for_before_anything_else_is_done(faulty: Faulty) -> None:
    world, server = faulty.world, faulty.server
    server.fails_at["POST"] = 500
    verdict = converge(world)
    assert isinstance(verdict.error, UnknownOutcome)
    assert verdict.deployment
    assert verdict.deployment.outcome is None
    assert world.fakes.flink.submissions == []


def test_an_api_server_that_is_away_changes_nothing(faulty: Faulty) -> None:
    world, server = faulty.world, faulty.server
    assert converge(world).ok
    server.fails_at["GET"] = 503
    with pytest.raises(Transient):
        converge(world, CHANGED)
    server.fails_at.clear()
    assert deployed(world).epoch == 1


def test_a_reads_error_is_tried_again_before_it_is_told(faulty: Faulty) -> None:
    world, server = faulty.world, faulty.server
    world.operator.is_away = True
    server.fails_at["GET"] = 503
    before = len(server.requests)
    with pytest.raises(Transient):
        world.api.list(FLEET)
    assert server.requests[before:].count(f"GET {world.operator.path}") >= 3


@pytest.mark.parametrize(
    ("code", "error"),
    [(500, UnknownOutcome), (504, UnknownOutcome), (429, Transient), (403, Terminal), (401, Terminal)],
)
def test_an_error_says_whether_the_write_may_have_happened(
    faulty: Faulty, code: int, error: type[KeystoneError]
) -> None:
    world, server = faulty.world, faulty.server
    server.fails_at["POST"] = code
    kubernetes = KubernetesSettings(
        namespace=world.api.namespace, image="keystone:1", flink_version=newest_flink_version()
    )
    with pytest.raises(error):
        world.api.create(manifest(submission(world, 1, "a" * 32), settings_of(kubernetes), kubernetes))


def test_a_late_submission_of_an_older_epoch_makes_no_second_router(world: KubernetesWorld) -> None:
    assert converge(world).ok
    assert converge(world, CHANGED).ok
    for _ in range(2):  # while it runs, and when it was stopped
        (outcome,) = world.gateways.submitter.submit([submission(world, 1, "a" * 32)])
        assert outcome.status == "refused"
        assert "epoch 2" in outcome.reason
        assert deployed(world).epoch == 2
        assert converge(world, CHANGED, Request.STOP).ok


def test_a_router_that_has_not_ended_is_not_replaced(world: KubernetesWorld) -> None:
    assert converge(world).ok
    (outcome,) = world.gateways.submitter.submit([submission(world, 7, "a" * 32)])
    assert outcome.status == "refused"
    assert deployed(world).epoch == 1


def test_a_flink_deployment_that_somebody_else_made_is_left_alone(world: KubernetesWorld) -> None:
    kubernetes = KubernetesSettings(
        namespace=world.api.namespace, image="keystone:1", flink_version=newest_flink_version()
    )
    foreign = manifest(submission(world, 1, "a" * 32), settings_of(kubernetes), kubernetes)
    foreign["metadata"]["labels"] = {}
    world.api.create(foreign)
    verdict = converge(world)
    assert verdict.error
    assert "did not make" in str(verdict.error)
    assert world.api.list(FLEET) == ()
    assert world.api.get(name_of(ROUTE))


def test_a_savepoint_that_fails_leaves_the_router_running_and_asked_to_run(world: KubernetesWorld) -> None:
    assert converge(world).ok
    world.fakes.flink.savepoints_fail = True
    verdict = converge(world, request=Request.STOP)
    assert isinstance(verdict.error, Terminal)
    assert "the savepoint failed" in verdict.error.what
    found = world.api.http.get(f"{world.operator.path}/{name_of(ROUTE)}").json()
    assert found["spec"]["job"]["state"] == "running"
    job = world.gateways.flink.job(deployed(world).job_id)
    assert job
    assert job.is_running


def test_a_changed_plan_whose_job_fails_gives_way_to_the_plan_before(world: KubernetesWorld) -> None:
    assert converge(world).ok
    world.fakes.flink.fails_at_start.add(CHANGED.digest)
    verdict = converge(world, CHANGED)
    assert "The plan before runs again (epoch 3)" in verdict.message
    assert (deployed(world).epoch, deployed(world).job_state) == (3, JobState.RUNNING)


def test_a_failed_router_is_redeployed_from_its_newest_checkpoint(world: KubernetesWorld) -> None:
    first = converge(world).deployment
    assert first
    checkpoint = world.fakes.flink.checkpoint(first.job_id)
    world.fakes.flink.set_state(first.job_id, JobState.FAILED)
    wait_for("the operator sees it", lambda: deployed(world).job_state is JobState.FAILED, 30)
    verdict = converge(world)
    assert verdict.ok, verdict.message
    assert verdict.deployment
    assert verdict.deployment.cause is Cause.REDEPLOY
    assert verdict.deployment.restore_from == checkpoint


def test_without_an_operator_a_start_ends_with_what_to_look_at(world: KubernetesWorld) -> None:
    world.operator.is_away = True
    impatient = replace(world, gateways=replace(world.gateways, running_timeout_s=0.3))
    verdict = converge(impatient)
    assert verdict.error
    assert "INITIALIZING" in verdict.error.what
    world.operator.is_away = False
    assert converge(world).ok
    assert deployed(world).epoch == 1


def test_figures_come_from_the_routers_own_rest_api_through_the_api_servers_proxy(world: KubernetesWorld) -> None:
    deployment = converge(world).deployment
    assert deployment
    world.fakes.flink.checkpoint(deployment.job_id)
    assert world.gateways.flink.checkpoints(deployment.job_id).completed == 1
    told = world.gateways.flink.progress(deployment.job_id)
    assert (told.restarts, told.checkpoints.completed) == (0, 1)
