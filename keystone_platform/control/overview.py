"""The fleet at a glance: what is declared, what runs, and what runs although it should not."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from keystone_platform.control.gateways import Gateways
from keystone_platform.control.progress_now import ProgressNow, progress_now
from keystone_platform.control.sweep import RouteStatus, sweep
from keystone_platform.plan.deployment import Cause, End
from keystone_platform.spec.fleet import Fleet

UNDECLARED = "no"


@dataclass(frozen=True)
class RouteLine:
    """One route.

    Attributes:
        declared: `running`, `suspended`, or `no` where no file declares it (or its file is wrong now).
        progress: None where nothing runs, or its job did not answer in time.
        broken: stream files that are wrong now, one of which may declare it.
    """

    status: RouteStatus
    declared: str
    progress: ProgressNow | None = None
    broken: tuple[str, ...] = ()

    @property
    def remark(self) -> str:
        """What a person should know beside the state; empty when there is nothing."""
        last, told = self.status.last, [str(stray) for stray in self.status.strays]
        if self.declared == UNDECLARED and self.broken:
            told.append(f"no valid file declares it, and {', '.join(self.broken)} is wrong: keystone plan says where")
        elif self.declared == UNDECLARED:
            told.append("no valid file declares it: keystone apply --prune stops it")
        if last and last.is_open and last.cause is Cause.ROLLBACK:
            told.append("rolled back: keystone plan says why")
        if last and not last.is_open and last.note:
            is_wanted = self.declared == "running" and last.end is End.STOPPED
            told.append(f"was stopped ({last.note}): keystone apply starts it" if is_wanted else last.note)
        return "; ".join(told)

    def as_json(self) -> dict[str, Any]:
        """Return it as JSON values."""
        last = self.status.last
        return {
            "route": self.status.route,
            "state": self.status.state.value,
            "declared": self.declared,
            "epoch": last.epoch if last else None,
            "cause": last.cause.value if last else None,
            "job_id": last.job_id if last else None,
            "remark": self.remark or None,
            "progress": self.progress.as_json() if self.progress else None,
            "strays": [
                {"job_id": each.job.job_id, "epoch": each.epoch, "ours": each.is_ours, "why": each.why}
                for each in self.status.strays
            ],
        }


def overview(gateways: Gateways, fleet: Fleet) -> tuple[RouteLine, ...]:
    """Return a line for each route that is declared, runs, or has a copy that runs.

    Blocks for `progress_now.PATIENCE` at most while routers are measured.

    Raises:
        Transient: the cluster or the ledger does not answer.
    """
    declared = {route.id: route.route for route in fleet.routes}
    others = sorted(set(gateways.ledger.latest()) - set(declared))
    statuses = [each for each in sweep(gateways, [*declared, *others]) if each.route in declared or _matters(each)]
    found = progress_now(gateways, statuses, {name: route.health.max_lag_s for name, route in declared.items()})
    broken = tuple(dict.fromkeys(error.file for error in fleet.errors if error.file))
    return tuple(
        RouteLine(
            each,
            declared[each.route].state if each.route in declared else UNDECLARED,
            found.get(each.route),
            broken,
        )
        for each in statuses
    )


def _matters(status: RouteStatus) -> bool:
    return bool(status.strays or (status.last and status.last.is_open))
