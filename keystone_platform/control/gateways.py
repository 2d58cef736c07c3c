"""The effects that the control loop is given."""

from __future__ import annotations

from dataclasses import dataclass

from keystone_platform.gateways.checkpoint_reader import CheckpointReader
from keystone_platform.gateways.clock import Clock
from keystone_platform.gateways.flink import FlinkGateway
from keystone_platform.gateways.kafka import KafkaGateway
from keystone_platform.gateways.lake import Lake
from keystone_platform.gateways.ledger import Ledger
from keystone_platform.gateways.objects import ObjectStore
from keystone_platform.gateways.search import SearchCluster
from keystone_platform.gateways.submit import Submitter
from keystone_platform.plan.slot_quota import UNBOUNDED, SlotQuotas

RUNNING_TIMEOUT_S = 120.0
"""How long a submitted router may take until every subtask runs, on a cluster that is there already."""


@dataclass(frozen=True)
class Gateways:
    """Everything that reconciling touches.

    Attributes:
        checkpoints: S3 URI below which checkpoints and savepoints go.
        slot_quotas: how many slots each owner may have.
        running_timeout_s: how long a submitted router may take until every subtask runs.
    """

    flink: FlinkGateway
    submitter: Submitter
    kafka: KafkaGateway
    lake: Lake
    search: SearchCluster
    objects: ObjectStore
    ledger: Ledger
    clock: Clock
    checkpoints: str
    checkpoint_reader: CheckpointReader
    slot_quotas: SlotQuotas = UNBOUNDED
    running_timeout_s: float = RUNNING_TIMEOUT_S

    def checkpoint_directory(self, route: str) -> str:
        """Return the S3 URI of the route's checkpoints; Flink adds `/<job id>/chk-<n>`."""
        return f"{self.checkpoints}/checkpoints/{route}"

    def savepoints_of(self, route: str) -> str:
        """Return the S3 URI below which all savepoints of the route are."""
        return f"{self.checkpoints}/savepoints/{route}"

    def savepoint_directory(self, route: str, job_id: str) -> str:
        """Return the S3 URI of the savepoints of one deployment."""
        return f"{self.savepoints_of(route)}/{job_id}"
