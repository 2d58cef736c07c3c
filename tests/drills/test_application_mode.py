"""Routers with Flink clusters of their own, in application mode, on real servers: all of the Kubernetes backend's way
but pods, images and high availability. The API server and the operator are stand-ins.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import httpx
import pytest

from keystone_platform.gateways.dagster_api import DagsterApi
from keystone_platform.gateways.flink_kubernetes import KubernetesFlink
from keystone_platform.gateways.kubernetes_api import KubernetesApi
from keystone_platform.gateways.submit import SubprocessSubmitter
from keystone_platform.gateways.submit_kubernetes import KubernetesSubmitter
from keystone_platform.settings import HOME_VARIABLE, KubernetesSettings
from keystone_platform.stack.embedded import EmbeddedStack
from keystone_platform.wiring import connect
from tests.drills.application_clusters import ApplicationClusters
from tests.e2e.platform import Counted, Platform, stream_yaml
from tests.kubernetes.api_server import ApiServer, serve
from tests.kubernetes.crd import newest_flink_version
from tests.kubernetes.operator import Operator, running

pytestmark = [pytest.mark.drill, pytest.mark.timeout(900)]

ROUTE = "pods.warehouse"


@dataclass(frozen=True)
class Setting:
    """The platform, and the clusters that its routers have."""

    platform: Platform
    clusters: ApplicationClusters


@pytest.fixture(scope="module")
def setting(request: pytest.FixtureRequest) -> Iterator[Setting]:
    """Kafka and object store of a stack of its own; Flink only where a FlinkDeployment asks for it."""
    folder = Path(tempfile.mkdtemp(prefix="keystone-pods-"))
    (folder / "streams").mkdir()
    stack = EmbeddedStack(folder, streams=folder / "streams", usual_ports=False)
    session = stack.up(without=("flink", "dagster", "search")).settings
    kubernetes = KubernetesSettings(namespace="a", image="none", flink_version=newest_flink_version(), slots=4)
    update = {"kubernetes": kubernetes, "flink_rest": "", "flink_python": sys.executable}
    settings = session.model_copy(update=update)
    clusters = ApplicationClusters(folder / "pods", settings)
    server = ApiServer(services=lambda name: clusters.names[name])
    try:
        with serve(server) as url, httpx.Client(base_url=url, timeout=30) as http:
            api = KubernetesApi(http, "a")
            planner = SubprocessSubmitter(session, os.environ | {HOME_VARIABLE: str(folder)})
            gateways = replace(
                connect(session),
                flink=KubernetesFlink(api, slots=kubernetes.slots),
                submitter=KubernetesSubmitter(api, settings, kubernetes, planner=planner),
                running_timeout_s=kubernetes.start_timeout_s,
            )
            platform = Platform(stack, settings, gateways, DagsterApi(session.dagster_url), folder / "streams")
            with running(Operator(http, "a", clusters)):
                yield Setting(platform, clusters)
    finally:
        if request.session.testsfailed:
            print(clusters.log_ends())
        clusters.close()
        stack.down()
        shutil.rmtree(folder, ignore_errors=True)


def test_a_router_of_its_own_cluster_is_exact_over_an_upgrade_a_rescale_and_a_redeploy(setting: Setting) -> None:
    platform = setting.platform
    platform.declare("pods", stream_yaml("pods"))
    first = platform.apply(ROUTE)
    assert first.ok, first.message
    platform.produce("pods", range(5_000))
    assert platform.wait_for_rows("pods", 5_000) == Counted(5_000, 5_000, 0)

    changed = stream_yaml("pods").replace("[n, country]", "[n, country, padding]") + "    parallelism: 2\n"
    platform.declare("pods", changed)
    upgraded = platform.apply(ROUTE)
    assert upgraded.ok, upgraded.message
    last = platform.latest(ROUTE)
    assert last.restore_from
    assert "/savepoints/" in last.restore_from
    assert platform.gateways.flink.checkpoints(last.job_id).restored_from == last.restore_from
    platform.produce("pods", range(5_000, 8_000))
    assert platform.wait_for_rows("pods", 8_000) == Counted(8_000, 8_000, 0)

    platform.gateways.flink.cancel(last.job_id, 60)
    platform.produce("pods", range(8_000, 10_000))
    redeployed = platform.apply(ROUTE)
    assert redeployed.ok, redeployed.message
    origin = platform.latest(ROUTE).restore_from
    assert origin
    assert "/checkpoints/" in origin
    assert platform.wait_for_rows("pods", 10_000) == Counted(10_000, 10_000, 0)
