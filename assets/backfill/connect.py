"""Connects a backfill to the servers of the settings."""

from __future__ import annotations

import os
from collections.abc import Sequence
from datetime import datetime

from assets.backfill.backfill import Prove, Servers
from assets.backfill.job import JobRunner
from assets.proof.prover import Prover, proofs_of
from keystone_platform.errors import Terminal
from keystone_platform.gateways.clock import Clock, SystemClock
from keystone_platform.gateways.flink_rest import FlinkRest
from keystone_platform.gateways.kafka_clusters import connect_kafka
from keystone_platform.gateways.lake import IcebergLake
from keystone_platform.gateways.schema_registry import registry_of
from keystone_platform.gateways.submit import SubprocessSubmitter
from keystone_platform.plan.hour_proof import HourProof
from keystone_platform.plan.router_plan import RouterPlan
from keystone_platform.settings import Settings


def connect(settings: Settings) -> Servers:
    """Return the servers, the prover of hours among them; nothing is reached before the first call.

    Raises:
        Terminal: routers run on Kubernetes, each on a Flink cluster of its own: there is none that takes another job.
    """
    if not settings.flink_rest:
        message = "a backfill needs a Flink session cluster, and the settings name none"
        raise Terminal(message, mend="Name one as `flink_rest` in settings without `kubernetes`, for backfills only.")
    clock = SystemClock()
    jobs = JobRunner(
        flink=FlinkRest(settings.flink_rest, clock=clock),
        submitter=SubprocessSubmitter(settings, os.environ),
        clock=clock,
        checkpoints=settings.checkpoints,
    )
    lake, kafka = IcebergLake(settings), connect_kafka(settings)
    return Servers(lake, kafka, kafka.properties, jobs, _prover(settings, clock), registry_of(settings.registry))


def _prover(settings: Settings, clock: Clock) -> Prove:
    def prove(plan: RouterPlan, hours: Sequence[datetime | None]) -> Sequence[HourProof]:
        prover = Prover(settings, plan, proofs_of(settings), clock)
        return [prover.prove(hour) for hour in hours if hour]

    return prove
