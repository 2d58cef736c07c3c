"""Kubernetes for tests: an API server, the operator and Flink behind it, and the gateways that routers are run by."""

from __future__ import annotations

import os
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import httpx

from keystone_platform.control.gateways import Gateways
from keystone_platform.gateways.flink_kubernetes import KubernetesFlink
from keystone_platform.gateways.kubernetes_api import KubernetesApi
from keystone_platform.gateways.kubernetes_http import api_server
from keystone_platform.gateways.submit_kubernetes import KubernetesSubmitter
from keystone_platform.settings import KubernetesSettings, S3Settings, Settings
from tests.control import fake_flink_rest
from tests.control.fakes import CHECKPOINTS, World, make_world
from tests.kubernetes.api_server import ApiServer, serve
from tests.kubernetes.crd import crd, newest_flink_version
from tests.kubernetes.operator import FakeRuntime, Operator, running

KUBECONFIG_VARIABLE = "KEYSTONE_TEST_KUBECONFIG"
"""Names a kubeconfig of a real API server, on which the tests make a namespace of their own (and the CRD)."""

SLOTS = 8


class QuickClock:
    """The real time, with short sleeps: the servers of these tests answer at once."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    def sleep(self, seconds: float) -> None:
        time.sleep(min(seconds, 0.02))


@dataclass(frozen=True)
class KubernetesWorld:
    """What a test may look at and break.

    Attributes:
        fakes: Flink, object store and the others behind the gateways.
        server: the stand-in of the API server; None where it is the real one.
    """

    fakes: World
    gateways: Gateways
    api: KubernetesApi
    operator: Operator
    server: ApiServer | None


def settings_of(kubernetes: KubernetesSettings) -> Settings:
    """Return settings with the servers' addresses as routers see them."""
    return Settings(
        kafka={"bootstrap.servers": "kafka:9092"},
        s3=S3Settings(endpoint="http://s3:9000", access_key_id="id", secret_access_key="canary-7f3a"),
        catalog={"type": "sql", "uri": "postgresql://keystone:canary-9b1c@db/catalog", "warehouse": "s3://keystone/wh"},
        dagster_url="http://dagster:3000",
        ledger_url="sqlite:///none.db",
        checkpoints=CHECKPOINTS,
        kubernetes=kubernetes,
    )


@contextmanager
def kubernetes_world(folder: Path, *, real: bool = False) -> Iterator[KubernetesWorld]:
    """Start servers on loopback, or use the real API server that the variable names, and yield them with gateways."""
    fakes = make_world(folder)
    with fake_flink_rest.serve(fakes.flink) as rest:
        if real:
            http = _real_api_server()
            namespace = _fresh_namespace(http)
            with _over(fakes, http, None, rest, namespace) as world:
                yield world
            _settle(http.delete(f"/api/v1/namespaces/{namespace}"))
            return
        server = ApiServer(services=lambda _name: rest)
        with serve(server) as url, httpx.Client(base_url=url) as http, _over(fakes, http, server, None, "a") as world:
            yield world


@contextmanager
def _over(
    fakes: World, http: httpx.Client, server: ApiServer | None, rest: str | None, namespace: str
) -> Iterator[KubernetesWorld]:
    clock = QuickClock()
    kubernetes = KubernetesSettings(namespace=namespace, image="keystone:1", flink_version=newest_flink_version())
    api = KubernetesApi(http, namespace, clock=clock)
    flink = KubernetesFlink(api, slots=SLOTS, rest=rest, clock=clock)
    submitter = KubernetesSubmitter(api, settings_of(kubernetes), kubernetes, planner=fakes.submitter, clock=clock)
    with running(Operator(http, namespace, FakeRuntime(fakes.flink))) as operator:
        gateways = replace(fakes.gateways, flink=flink, submitter=submitter, clock=clock)
        yield KubernetesWorld(fakes, gateways, api, operator, server)


def _real_api_server() -> httpx.Client:
    kubernetes = KubernetesSettings(namespace="default", image="", kubeconfig=os.environ[KUBECONFIG_VARIABLE])
    http = api_server(kubernetes)
    path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
    _settle(http.post(path, json=crd()))
    return http


def _fresh_namespace(http: httpx.Client) -> str:
    name = f"keystone-test-{uuid.uuid4().hex[:8]}"
    _settle(http.post("/api/v1/namespaces", json={"metadata": {"name": name}}))
    path = f"/apis/flink.apache.org/v1beta1/namespaces/{name}/flinkdeployments"
    deadline = time.monotonic() + 30
    while not http.get(path).is_success and time.monotonic() < deadline:
        time.sleep(0.2)  # the CRD is served a moment after it was made
    return name


def _settle(answer: httpx.Response) -> None:
    """Accept what is there already."""
    if answer.status_code != httpx.codes.CONFLICT:
        answer.raise_for_status()
