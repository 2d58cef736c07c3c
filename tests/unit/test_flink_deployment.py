"""Routers as FlinkDeployments: what the operator is told, held to its own schema."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from flink_jobs.statements import router_program
from keystone_platform.gateways.flink_deployment import JOB_ID, ROUTE, manifest, name_of
from keystone_platform.plan.router_plan import RouterPlan
from keystone_platform.plan.submission import ApplicationRequest
from keystone_platform.settings import KubernetesSettings, Resources, SearchSettings, Settings
from tests.kubernetes.crd import newest_flink_version, unknown_fields, violations
from tests.kubernetes.world import settings_of
from tests.unit.flink_jobs.plans import kafka, search, submission, warehouse

GOLDEN = Path(__file__).parents[1] / "golden" / "kubernetes" / "warehouse.json"

EVERYTHING = KubernetesSettings(
    namespace="routers",
    image="registry.example/keystone:1",
    service_account="router",
    flink_version="v2_2",
    task_slots=2,
    job_manager=Resources(cpu=0.25, memory="1536Mi"),
    task_manager=Resources(cpu=2, memory="4g"),
    secrets=("object-store", "catalog"),
    flink_configuration={"kubernetes.operator.reconcile.interval": "15 s", "s3.region": "eu-west-1"},
    pod_template={
        "metadata": {"labels": {"team": "data"}},
        "spec": {
            "tolerations": [{"key": "routers", "operator": "Exists"}],
            "volumes": [{"name": "ca", "secret": {"secretName": "search-ca"}}],
            "containers": [
                {
                    "name": "flink-main-container",
                    "env": [{"name": "PGPASSFILE", "value": "/etc/keystone/pgpass"}],
                    "volumeMounts": [{"name": "ca", "mountPath": "/etc/keystone"}],
                }
            ],
        },
    },
)


def settings(kubernetes: KubernetesSettings = EVERYTHING) -> Settings:
    searched = SearchSettings(url="https://search:9200", username="keystone", password="env:SEARCH_PASSWORD")
    return settings_of(kubernetes).model_copy(update={"search": searched})


def rendered(
    plan: RouterPlan, restore_from: str | None = None, kubernetes: KubernetesSettings = EVERYTHING
) -> dict[str, Any]:
    return manifest(submission(plan, restore_from), settings(kubernetes), kubernetes)


def request_of(body: dict[str, Any]) -> ApplicationRequest:
    return ApplicationRequest.decoded(body["spec"]["job"]["args"][-1])


@pytest.mark.parametrize("plan", [warehouse(), kafka(), search()], ids=lambda plan: plan.target.kind)
@pytest.mark.parametrize("kubernetes", [EVERYTHING, KubernetesSettings(namespace="a", image="b")])
def test_the_operators_schema_takes_every_kind_of_router(plan: RouterPlan, kubernetes: KubernetesSettings) -> None:
    kubernetes = kubernetes.model_copy(update={"flink_version": newest_flink_version()})
    body = rendered(plan, "s3://bucket/savepoint-1", kubernetes)
    assert violations(body) == []
    assert list(unknown_fields(body)) == []


def test_a_manifest_changes_only_on_purpose() -> None:
    body = rendered(warehouse(), "s3://bucket/flink/savepoints/playback.warehouse/savepoint-1")
    request = json.loads(request_of(body).model_dump_json(exclude_none=True))
    body["spec"]["job"]["args"][-1] = request  # as it reads
    body["spec"]["flinkConfiguration"]["env.java.opts.all"] = "…"
    text = json.dumps(body, indent=2) + "\n"
    if os.environ.get("UPDATE_GOLDEN") == "1":
        GOLDEN.parent.mkdir(exist_ok=True)
        GOLDEN.write_text(text)
    assert text == GOLDEN.read_text()


def test_no_secret_is_in_a_manifest_nor_in_the_jobs_arguments() -> None:
    body = rendered(search())
    told = json.dumps(body) + request_of(body).model_dump_json()
    assert "canary" not in told
    assert "env:SEARCH_PASSWORD" in told
    (container,) = body["spec"]["podTemplate"]["spec"]["containers"]
    assert [each["secretRef"]["name"] for each in container["envFrom"]] == ["object-store", "catalog"]


def test_the_job_program_sets_no_savepoint_that_would_be_restored_again_after_the_loss_of_a_job_manager() -> None:
    body = rendered(warehouse(), "s3://bucket/savepoint-1")
    request = request_of(body)
    program = router_program(request.submission, request.connection)
    assert [option for option in program.options if "state-recovery.path" in option] == []
    assert body["spec"]["job"]["initialSavepointPath"] == "s3://bucket/savepoint-1"
    assert body["spec"]["flinkConfiguration"]["high-availability.type"] == "kubernetes"


def test_offsets_to_start_at_reach_the_job_program() -> None:
    at = submission(warehouse()).model_copy(update={"start_at": "playback:0:17"})
    body = manifest(at, settings(), EVERYTHING)
    assert request_of(body).submission.start_at == "playback:0:17"
    assert "initialSavepointPath" not in body["spec"]["job"]


def test_the_job_program_and_the_cluster_agree_on_identity_and_directories() -> None:
    body = rendered(warehouse())
    request = request_of(body)
    options = router_program(request.submission, request.connection).options
    told = body["spec"]["flinkConfiguration"]
    shared = {key for key in told if key in options}
    assert {"$internal.pipeline.job-id", "execution.checkpointing.dir"} <= shared
    assert {key for key in shared if told[key] != options[key]} == set()
    assert body["metadata"]["labels"][JOB_ID] == request.submission.job_id


def test_settings_can_not_take_away_what_keeps_a_router_exact() -> None:
    meant_well = {"high-availability.type": "none", "kubernetes.operator.job.restart.failed": "true"}
    body = rendered(warehouse(), kubernetes=EVERYTHING.model_copy(update={"flink_configuration": meant_well}))
    told = body["spec"]["flinkConfiguration"]
    assert told["high-availability.type"] == "kubernetes"
    assert told["kubernetes.operator.job.restart.failed"] == "false"


@pytest.mark.parametrize("route", ["a.b", "playback.warehouse", "x" * 63 + "." + "y" * 63, "a_b.c_d", "a__.b__"])
def test_a_name_is_one_that_the_operator_takes(route: str) -> None:
    import re

    assert re.fullmatch(r"[a-z]([-a-z\d]{0,43}[a-z\d])?", name_of(route))


def test_routes_that_read_alike_have_names_of_their_own() -> None:
    assert len({name_of(route) for route in ("a_b.c", "a.b_c", "a__b.c", "a_b._c")}) == 4


def test_the_route_is_told_in_full() -> None:
    assert rendered(warehouse())["metadata"]["annotations"][ROUTE] == "playback.warehouse"


@pytest.mark.parametrize("text", ["", "x", "eJw=", "////"])
def test_a_broken_request_is_told_as_one(text: str) -> None:
    with pytest.raises(ValueError, match="no request of a router's job"):
        ApplicationRequest.decoded(text)
