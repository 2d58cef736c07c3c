"""Connects a backfill to the servers of the settings."""

from __future__ import annotations

import os

from assets.backfill.backfill import Prove, Servers
from assets.backfill.job import JobRunner
from keystone_platform.errors import Terminal
from keystone_platform.gateways.clock import SystemClock
from keystone_platform.gateways.flink_rest import FlinkRest
from keystone_platform.gateways.kafka import ConfluentKafka
from keystone_platform.gateways.lake import IcebergLake
from keystone_platform.gateways.submit import SubprocessSubmitter
from keystone_platform.settings import Settings


def connect(settings: Settings, prove: Prove | None = None) -> Servers:
    """Return the servers; nothing is reached before the first call.

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
    return Servers(IcebergLake(settings), ConfluentKafka(settings.kafka), settings.kafka, jobs, prove)
