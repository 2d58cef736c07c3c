"""A deployment: one start of one route on a cluster, as the ledger remembers it.

Its identity is (route, epoch). Each fact is written once: the intent before the act, the outcome after it. What state a
router is in now is computed from these facts and from what the cluster says (`plan.lifecycle`), never stored.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from keystone_platform.plan.router_plan import RouterPlan


class Cause(StrEnum):
    """Why a deployment was made."""

    DEPLOY = "deploy"
    """The route did not run before, or a person starts it again."""
    UPGRADE = "upgrade"
    """The route's plan changed."""
    RESCALE = "rescale"
    """Only the parallelism of its plan changed."""
    RESTART = "restart"
    """A person asked for it; the plan is the same."""
    REDEPLOY = "redeploy"
    """The job was gone or had failed."""
    ROLLBACK = "rollback"
    """The plan of the deployment before it was given up for one that ran earlier."""

    @property
    def is_change(self) -> bool:
        """Whether the deployment runs another plan than the one before it because the goal says so."""
        return self in (Cause.UPGRADE, Cause.RESCALE)


class Outcome(StrEnum):
    """How the submission ended."""

    SUBMITTED = "submitted"
    REFUSED = "refused"
    """It never ran: the cluster or the planner did not take it."""


class End(StrEnum):
    """How a submitted deployment came to its end."""

    STOPPED = "stopped"
    """On purpose and for good: nothing starts it again but a person."""
    PAUSED = "paused"
    """By the platform, since too many of its events died; a person has to look and apply it again."""
    REPLACED = "replaced"
    """On purpose, to make place for the next epoch."""
    LOST = "lost"
    """It was found gone, failed or cancelled by somebody else."""


@dataclass(frozen=True)
class Deployment:
    """One row of the ledger.

    Attributes:
        epoch: counts the route's deployments from 1.
        job_id: Flink's job id, derived from (ledger, route, epoch).
        restore_from: S3 URI of the savepoint or checkpoint it started from, or the offsets (`recovery.offsets_origin`);
            None means the earliest.
        outcome: None while it is not known whether the cluster took it.
        stop_intended_at: when a stop was begun; without `ended_at` its outcome is not known.
        savepoint: S3 URI of the savepoint of the stop, if it made one.
        end: None while it runs, as far as the ledger knows.
        note: reason of a refusal or an end, for people.
    """

    route: str
    epoch: int
    job_id: str
    plan: RouterPlan
    cause: Cause
    restore_from: str | None
    intended_at: datetime
    outcome: Outcome | None = None
    outcome_at: datetime | None = None
    stop_intended_at: datetime | None = None
    savepoint: str | None = None
    end: End | None = None
    ended_at: datetime | None = None
    note: str = ""

    @property
    def is_open(self) -> bool:
        """Whether it runs or may run, as far as the ledger knows."""
        return self.end is None and self.outcome is not Outcome.REFUSED


def newest_taken(history: Iterable[Deployment]) -> Deployment | None:
    """Return the newest deployment that the cluster took or may have taken; `history` is newest first."""
    return next((each for each in history if each.outcome is not Outcome.REFUSED), None)


def job_id_of(ledger_id: uuid.UUID, route: str, epoch: int) -> str:
    """Return the Flink job id (32 hex digits) of a deployment.

    Being a function of the identity, it makes the cluster refuse a second copy, and lets anybody look up whether a
    submission went through. The ledger's own id is part of it, so that a new ledger never reuses ids: Iceberg skips
    checkpoints that a job of the same id has committed already.
    """
    return uuid.uuid5(ledger_id, f"{route}/{epoch}").hex
