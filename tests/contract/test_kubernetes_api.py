"""What the control plane takes for granted of an API server: on the stand-in, and on a real one where one is named."""

from __future__ import annotations

import copy
import os
import uuid
from collections.abc import Iterator
from typing import Any

import pytest

from keystone_platform.errors import Conflict, Terminal
from keystone_platform.gateways.flink_deployment import FLEET, job_selector, manifest
from keystone_platform.gateways.kubernetes_resource import Resource
from keystone_platform.plan.observation import JobState
from keystone_platform.plan.submission import Submission
from keystone_platform.settings import KubernetesSettings
from tests.control.fakes import a_plan
from tests.kubernetes.crd import newest_flink_version
from tests.kubernetes.world import KUBECONFIG_VARIABLE, KubernetesWorld, kubernetes_world, settings_of

SERVERS = ["stand-in", *(["real"] if KUBECONFIG_VARIABLE in os.environ else [])]


@pytest.fixture(scope="module", params=SERVERS)
def world(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[KubernetesWorld]:
    """An API server whose operator does nothing."""
    with kubernetes_world(tmp_path_factory.mktemp("api"), real=request.param == "real") as world:
        world.operator.is_away = True
        yield world


@pytest.fixture
def body(world: KubernetesWorld) -> dict[str, Any]:
    """A router that is not there yet."""
    stream = f"s{uuid.uuid4().hex[:10]}"
    submission = Submission(
        plan=a_plan(f"{stream}.warehouse"),
        epoch=1,
        job_id=uuid.uuid4().hex,
        restore_from=None,
        checkpoint_directory=f"s3://keystone/flink/checkpoints/{stream}",
        savepoint_directory=f"s3://keystone/flink/savepoints/{stream}",
    )
    kubernetes = KubernetesSettings(
        namespace=world.api.namespace, image="keystone:1", flink_version=newest_flink_version()
    )
    return manifest(submission, settings_of(kubernetes), kubernetes)


def status(world: KubernetesWorld, resource: Resource, change: dict[str, Any]) -> None:
    """Write a status as the operator does."""
    path = f"{world.operator.path}/{resource.name}/status"
    headers = {"Content-Type": "application/merge-patch+json"}
    world.api.http.patch(path, json={"status": change}, headers=headers).raise_for_status()


def finalizers(world: KubernetesWorld, resource: Resource, names: list[str]) -> None:
    path = f"{world.operator.path}/{resource.name}"
    headers = {"Content-Type": "application/merge-patch+json"}
    world.api.http.patch(path, json={"metadata": {"finalizers": names}}, headers=headers).raise_for_status()


def test_a_second_router_of_a_route_is_a_conflict(world: KubernetesWorld, body: dict[str, Any]) -> None:
    made = world.api.create(body)
    with pytest.raises(Conflict):
        world.api.create(body)
    found = world.api.get(made.name)
    assert found == made
    assert (made.generation, made.observed_generation, made.is_deleted) == (1, 0, False)


@pytest.mark.parametrize(
    ("path", "value", "named"),
    [
        (("spec", "flinkVersion"), "v0_1", "spec.flinkVersion"),
        (("spec", "job", "parallelism"), "many", "spec.job.parallelism"),
        (("spec", "job", "upgradeMode"), "brave", "spec.job.upgradeMode"),
        (("spec", "jobs"), {}, "spec.jobs"),
        (("spec", "podTemplate", "spec", "container"), [], "spec.podTemplate.spec.container"),
        (("metadata", "labels", "keystone-platform/job-id"), "no/label", "metadata.labels"),
    ],
)
def test_what_the_schema_forbids_is_refused_and_nothing_is_made(
    world: KubernetesWorld, body: dict[str, Any], path: tuple[str, ...], value: object, named: str
) -> None:
    wrong = copy.deepcopy(body)
    place = wrong
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    with pytest.raises(Terminal, match=named.replace(".", r"\.")):
        world.api.create(wrong)
    assert world.api.get(body["metadata"]["name"]) is None


def test_a_write_that_builds_on_an_old_reading_is_a_conflict(world: KubernetesWorld, body: dict[str, Any]) -> None:
    made = world.api.create(body)
    status(world, made, {"jobStatus": {"state": "RUNNING"}})
    with pytest.raises(Conflict):
        world.api.patch(made, {"job": {"state": "suspended"}})
    read = world.api.get(made.name)
    assert read
    after = world.api.patch(read, {"job": {"state": "suspended"}})
    assert (after.generation, after.job_state) == (2, JobState.RUNNING)


def test_only_a_change_of_the_spec_is_a_new_generation(world: KubernetesWorld, body: dict[str, Any]) -> None:
    made = world.api.create(body)
    status(world, made, {"observedGeneration": 1, "lifecycleState": "STABLE"})
    read = world.api.get(made.name)
    assert read
    same = world.api.patch(read, {"job": {"state": "running"}})
    assert (same.generation, same.observed_generation, same.lifecycle) == (1, 1, "STABLE")
    assert same.version == read.version != made.version


def test_what_is_deleted_stays_until_the_operator_lets_it_go(world: KubernetesWorld, body: dict[str, Any]) -> None:
    made = world.api.create(body)
    finalizers(world, made, ["flinkdeployments.flink.apache.org/finalizer"])
    world.api.delete(made)
    leaving = world.api.get(made.name)
    assert leaving
    assert leaving.is_deleted
    with pytest.raises(Conflict):
        world.api.create(body)
    finalizers(world, made, [])
    assert world.api.get(made.name) is None
    world.api.delete(made)  # harmless when it is gone


def test_a_successor_is_not_deleted_in_its_predecessors_place(world: KubernetesWorld, body: dict[str, Any]) -> None:
    first = world.api.create(body)
    world.api.delete(first)
    second = world.api.create(body)
    with pytest.raises(Conflict):
        world.api.delete(first)
    with pytest.raises(Conflict):
        world.api.patch(first, {"job": {"state": "suspended"}})
    assert world.api.get(second.name) == second


def test_a_router_is_found_by_its_job_id_and_among_the_fleet(world: KubernetesWorld, body: dict[str, Any]) -> None:
    made = world.api.create(body)
    assert world.api.list(job_selector(made.job_id)) == (made,)
    assert made in world.api.list(FLEET)
    assert world.api.list(job_selector(uuid.uuid4().hex)) == ()


def test_a_fleet_of_several_pages_is_read_whole(
    world: KubernetesWorld, body: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(5):
        other = copy.deepcopy(body)
        other["metadata"]["name"] += f"-{number}"
        world.api.create(other)
    whole = world.api.list(FLEET)
    monkeypatch.setattr("keystone_platform.gateways.kubernetes_api._PAGE", 2)
    assert world.api.list(FLEET) == whole
    assert len(whole) >= 5
