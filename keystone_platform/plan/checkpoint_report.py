"""A route's checkpoints and savepoints as they are told: values, and what they look like as JSON."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Literal

from keystone_platform.plan.checkpoint_contents import Position, total_lag

Kind = Literal["checkpoint", "savepoint"]
Status = Literal["retained", "subsumed", "in progress", "failed", "incomplete"]
"""`subsumed`: it completed and is there no more, since newer ones came. `incomplete`: it has no `_metadata` (yet)."""


@dataclass(frozen=True)
class CheckpointLine:
    """One checkpoint or savepoint.

    Attributes:
        checkpoint_id: counts its job's checkpoints and savepoints together; None where it can't be read.
        epoch: the deployment that made it; None if the ledger does not know its job.
        at: when it was completed or failed; when it was begun, while it is in progress.
        bytes: size of its objects; of its state where it is in S3 no more, or not yet.
        uri: S3 URI of its folder; None where it is in S3 no more, or not yet.
        took_s: seconds from its beginning to its end, or so far; None when the cluster has forgotten.
        held: its Kafka offsets beside those of topics and table; empty when it is not in S3.
        unreadable: why `held` is empty although it is in S3.
        is_restart_point: whether the route's next start begins from it.
        remarks: what people should know of it.
    """

    job_id: str
    kind: Kind
    status: Status
    checkpoint_id: int | None
    epoch: int | None
    at: datetime
    bytes: int
    uri: str | None = None
    took_s: float | None = None
    held: tuple[Position, ...] = ()
    unreadable: str = ""
    is_restart_point: bool = False
    remarks: tuple[str, ...] = ()

    @property
    def lag(self) -> int | None:
        """Offsets from it to the topics' ends; None when they are not known."""
        return total_lag(self.held)

    def as_json(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return {
            "id": self.checkpoint_id,
            "kind": self.kind,
            "status": self.status,
            "epoch": self.epoch,
            "job_id": self.job_id,
            "uri": self.uri,
            "at": self.at.isoformat(),
            "took_s": self.took_s,
            "bytes": self.bytes,
            "restart_point": self.is_restart_point,
            "lag": self.lag,
            "offsets": [
                {**asdict(each), "lag": each.lag, "behind_table": each.behind_table, "deleted": each.deleted}
                for each in self.held
            ],
            "offsets_not_readable": self.unreadable or None,
            "remarks": list(self.remarks),
        }


@dataclass(frozen=True)
class CheckpointReport:
    """What is known of a route's checkpoints.

    Attributes:
        asked_at: ages are counted to it.
        table: the route's table; None if it has none.
        restart: what the route's next start would begin from, if its job ended now, in words.
        lines: newest first.
        left_out: older ones that were not looked at.
        notes: what could not be asked, and what a start would tell.
    """

    route: str
    asked_at: datetime
    table: str | None
    restart: str
    lines: tuple[CheckpointLine, ...]
    left_out: int = 0
    notes: tuple[str, ...] = ()

    @property
    def newest(self) -> CheckpointLine | None:
        """The newest one that a job can be started from."""
        return next((line for line in self.lines if line.status == "retained"), None)

    def age_s(self, line: CheckpointLine) -> float:
        """Return its age in seconds."""
        return max(0.0, (self.asked_at - line.at).total_seconds())

    def as_json(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return {
            "route": self.route,
            "asked_at": self.asked_at.isoformat(),
            "table": self.table,
            "restart": self.restart,
            "checkpoints": [{**line.as_json(), "age_s": round(self.age_s(line), 1)} for line in self.lines],
            "left_out": self.left_out,
            "notes": list(self.notes),
        }
