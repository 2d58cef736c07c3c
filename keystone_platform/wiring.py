"""Connects the control loop to real servers, as the settings name them."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from keystone_platform.control.gateways import RUNNING_TIMEOUT_S, Gateways
from keystone_platform.gateways.checkpoint_reader import JvmCheckpointReader
from keystone_platform.gateways.clock import SystemClock
from keystone_platform.gateways.flink import FlinkGateway
from keystone_platform.gateways.flink_rest import FlinkRest
from keystone_platform.gateways.kafka_clusters import Primaries, connect_kafka, declared_clusters
from keystone_platform.gateways.lake import IcebergLake
from keystone_platform.gateways.ledger import Ledger, SqlLedger
from keystone_platform.gateways.objects import S3ObjectStore, s3_client
from keystone_platform.gateways.search import OpenSearch
from keystone_platform.gateways.submit import Submitter, SubprocessSubmitter
from keystone_platform.plan.slot_quota import SlotQuotas
from keystone_platform.settings import STREAMS_VARIABLE, Settings

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


def connect(settings: Settings, client: S3Client | None = None, streams: Path | None = None) -> Gateways:
    """Return gateways to the servers of the settings, and to the Kafka clusters of clusters.yaml.

    Opens the ledger's database; everything else is reached at the first call. Dagster hands in the S3 client of its own
    resource.

    Args:
        settings: of the platform.
        client: of S3.
        streams: folder of the stream files, which clusters.yaml is beside; the environment's unless given.

    Raises:
        InvalidSpecs: clusters.yaml is wrong.
        Transient: the ledger's database does not answer, or its file is gone.
    """
    env = {**os.environ, **({STREAMS_VARIABLE: str(streams)} if streams else {})}
    flink, submitter = _routers(settings, env)
    ledger = SqlLedger(settings.ledger_url, create=False)
    return Gateways(
        flink=flink,
        submitter=submitter,
        kafka=connect_kafka(settings, env, lambda: _deployed_primaries(ledger)),
        lake=IcebergLake(settings),
        search=OpenSearch(settings.search),
        objects=S3ObjectStore(client or s3_client(settings.s3)),
        ledger=ledger,
        clock=SystemClock(),
        checkpoints=settings.checkpoints,
        checkpoint_reader=JvmCheckpointReader(os.environ),
        slot_quotas=SlotQuotas(settings.slot_quotas),
        running_timeout_s=settings.kubernetes.start_timeout_s if settings.kubernetes else RUNNING_TIMEOUT_S,
    )


def _deployed_primaries(ledger: Ledger) -> Primaries:
    """Return where streams live whose file may be gone, or wrong."""
    sources = [last.plan.source for last in ledger.latest().values()]
    return {source.topic: source.cluster for source in sources if source.cluster}


def _routers(settings: Settings, env: Mapping[str, str]) -> tuple[FlinkGateway, Submitter]:
    """Return what looks after routers and what starts them, where the settings say that they run."""
    submitter = SubprocessSubmitter(settings, env)
    if settings.kubernetes is None:
        return FlinkRest(settings.flink_rest), submitter
    from keystone_platform.gateways.flink_kubernetes import KubernetesFlink
    from keystone_platform.gateways.kubernetes_api import KubernetesApi
    from keystone_platform.gateways.kubernetes_http import api_server
    from keystone_platform.gateways.submit_kubernetes import KubernetesSubmitter

    chosen = settings.kubernetes
    api = KubernetesApi(api_server(chosen), chosen.namespace)
    flink = KubernetesFlink(api, slots=chosen.slots, rest=chosen.rest)
    return flink, KubernetesSubmitter(
        api, settings, chosen, planner=submitter, clusters=declared_clusters(settings, env)
    )
