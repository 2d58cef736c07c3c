"""Hands RouterPlans to a Flink cluster: the border to flink_jobs, which runs in a process of its own."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping, Sequence
from typing import Protocol

from pydantic import BaseModel

from keystone_platform.errors import Transient
from keystone_platform.gateways.flink_home import flink_client_environment, wheel_folder
from keystone_platform.gateways.kafka_clusters import declared_clusters
from keystone_platform.plan.router_plan import RouterPlan
from keystone_platform.plan.submission import (
    NO_JVM,
    CheckRequest,
    CompileOutcome,
    Connection,
    Submission,
    SubmitOutcome,
    SubmitRequest,
)
from keystone_platform.settings import Settings

__all__ = ["Submission", "SubmitOutcome", "Submitter", "SubprocessSubmitter"]

START_TIMEOUT_S = 120.0
"""For the JVM to start, on a machine that does other things as well."""

ROUTER_TIMEOUT_S = 60.0
"""For each router on top of that."""

LONGEST_COMPLAINT = 500


class Submitter(Protocol):
    """Starts routers."""

    def submit(self, submissions: Sequence[Submission]) -> tuple[SubmitOutcome, ...]:
        """Submit all from one JVM and return one outcome each, in the same order.

        Blocks for the JVM's start (about 10 s on two cores) and about a second per router; does not wait until a
        router runs. Never raises for a single router; raises Transient when no JVM could be started at all.
        """
        ...

    def check(self, plans: Sequence[RouterPlan]) -> tuple[str, ...]:
        """Let Flink's planner compile each plan without submitting; returns a reason each, empty when it compiles.

        Needs neither cluster nor table. Raises Transient when a plan was not looked at, which says nothing about it.
        """
        ...


class SubprocessSubmitter:
    """The real Submitter: `python -m flink_jobs.router`, with the Flink home that `flink_home` assembles.

    Args:
        settings: the servers.
        environment: of the process that is started; the home folder is found through it.
        start_timeout_s: how long the JVM may take.
        router_timeout_s: how long each router may take on top.
        command: what is started, with `submit` or `check` after it.
    """

    def __init__(
        self,
        settings: Settings,
        environment: Mapping[str, str],
        *,
        start_timeout_s: float = START_TIMEOUT_S,
        router_timeout_s: float = ROUTER_TIMEOUT_S,
        command: Sequence[str] = (sys.executable, "-m", "flink_jobs.router"),
    ) -> None:
        self._settings = settings
        self._environment = dict(environment)
        self._start_timeout_s = start_timeout_s
        self._router_timeout_s = router_timeout_s
        self._command = tuple(command)

    def submit(self, submissions: Sequence[Submission]) -> tuple[SubmitOutcome, ...]:
        if not submissions:
            return ()
        request = SubmitRequest(
            flink_rest=self._settings.flink_rest,
            connection=Connection.of(self._settings, declared_clusters(self._settings, self._environment)),
            submissions=tuple(submissions),
        )
        lines, complaint = self._run("submit", request, len(submissions))
        told = {outcome.job_id: outcome for outcome in map(SubmitOutcome.model_validate_json, lines)}
        return tuple(
            told.get(one.job_id) or SubmitOutcome(job_id=one.job_id, status="unknown", reason=complaint)
            for one in submissions
        )

    def check(self, plans: Sequence[RouterPlan]) -> tuple[str, ...]:
        if not plans:
            return ()
        lines, complaint = self._run("check", CheckRequest(plans=tuple(plans)), len(plans))
        verdicts = tuple(map(CompileOutcome.model_validate_json, lines))
        if len(verdicts) < len(plans):
            message = f"Flink's planner did not look at every plan: {complaint}"
            raise Transient(message, mend="Try again.")
        return tuple(verdict.reason for verdict in verdicts)

    def _run(self, act: str, request: BaseModel, routers: int) -> tuple[list[str], str]:
        """Return the lines that the process wrote, whole ones only, and why it wrote no more."""
        client = flink_client_environment(self._settings, self._environment)
        process = subprocess.Popen(
            [*self._command, act],
            # without FLINK_HOME, PyFlink sets FLINK_LIB_DIR and FLINK_PLUGINS_DIR back to the wheel's
            env={**self._environment, **client, "FLINK_HOME": str(wheel_folder())},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            encoding="utf-8",
            errors="replace",
        )
        timeout = self._start_timeout_s + routers * self._router_timeout_s
        try:
            written, log = process.communicate(request.model_dump_json(), timeout=timeout)
            complaint = f"the submitting process ended with {process.returncode}: {_last_words(log)}"
        except subprocess.TimeoutExpired:
            process.kill()
            written, log = process.communicate()
            complaint = f"the submitting process took longer than {timeout:.0f} s: {_last_words(log)}"
        if process.returncode == NO_JVM:
            message = f"no JVM could be started to submit routers: {_last_words(log)}"
            raise Transient(message, mend="Run `keystone doctor`.")
        return [line for line in written.splitlines(keepends=True) if line.endswith("\n")], complaint


def _last_words(log: str) -> str:
    """Return the end of a log, on one line."""
    return " ".join(log.split())[-LONGEST_COMPLAINT:]
