"""Hands RouterPlans to a Flink cluster: the border to flink_jobs, which runs in a process of its own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, Protocol

from pydantic import BaseModel, ConfigDict

from keystone_platform.plan.router_plan import RouterPlan


class Submission(BaseModel):
    """One router to start.

    Attributes:
        job_id: 32 hex digits, derived from (route, epoch): the cluster refuses a second job of that id.
        restore_from: S3 URI of a savepoint or checkpoint; None starts from the earliest offsets.
        checkpoint_directory: S3 URI; Flink makes a folder named by the job id in it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    plan: RouterPlan
    epoch: int
    job_id: str
    restore_from: str | None
    checkpoint_directory: str


class Outcome(BaseModel):
    """How a submission ended.

    Attributes:
        status: `submitted` (the cluster took it), `refused` (it did not, and nothing runs: bad plan, no such
            savepoint), `duplicate` (a job of that id is there already), `unknown` (the cluster may have taken it:
            look the id up).
        reason: empty when submitted.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    job_id: str
    status: Literal["submitted", "refused", "duplicate", "unknown"]
    reason: str = ""


class Submitter(Protocol):
    """Starts routers."""

    def submit(self, submissions: Sequence[Submission]) -> tuple[Outcome, ...]:
        """Submit all from one JVM and return one outcome each, in the same order.

        Blocks for the JVM's start (about 10 s on two cores) and about a second per router; does not wait until a
        router runs. Never raises for a single router; raises Transient when no JVM could be started at all.
        """
        ...

    def check(self, plans: Sequence[RouterPlan]) -> tuple[str, ...]:
        """Let Flink's planner compile each plan without submitting; returns a reason each, empty when it compiles."""
        ...
