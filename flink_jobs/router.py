"""Submits routers, or lets Flink compile them: `python -m flink_jobs.router submit|check`.

Reads a SubmitRequest or CheckRequest from stdin and writes a line of JSON per plan to stdout, a SubmitOutcome or a
CompileOutcome, each as soon as it is known. One JVM for all; a plan that fails keeps no other from being submitted.
Exit status: 0 however the plans fared, NO_JVM when none was looked at, because there was no JVM for it.
"""

from __future__ import annotations

import os
import sys
from typing import TextIO

from pydantic import BaseModel

from flink_jobs.refusal import JavaThrew, reason_of, status_of
from flink_jobs.statements import check_program, router_program
from keystone_platform.errors import KeystoneError
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


def main(arguments: list[str]) -> int:
    """Run the command line; see the module."""
    if arguments not in (["submit"], ["check"]):
        sys.stderr.write("usage: python -m flink_jobs.router submit|check < request.json\n")
        return 2
    request = sys.stdin.read()
    report = _take_stdout()
    from flink_jobs import planner  # starting with PyFlink takes a second: not before the request is read

    try:
        planner.start_jvm()
    except Exception as error:  # whatever it is, it is told and nothing was done
        sys.stderr.write(f"no JVM: {error}\n")
        return NO_JVM
    if arguments == ["check"]:
        for plan in CheckRequest.model_validate_json(request).plans:
            _write(report, check(plan))
        return 0
    wanted = SubmitRequest.model_validate_json(request)
    cluster = planner.cluster_options(wanted.flink_rest)
    for submission in wanted.submissions:
        _write(report, submit(submission, wanted.connection, cluster))
    return 0


def submit(submission: Submission, connection: Connection, cluster: dict[str, str]) -> SubmitOutcome:
    """Submit one router and say what became of it; never raises for what Flink thinks of the plan."""
    from flink_jobs import planner

    try:
        planner.start_program(router_program(submission, connection), cluster)
    except JavaThrew as error:
        return SubmitOutcome(job_id=submission.job_id, status=status_of(error.chain), reason=reason_of(error.chain))
    except KeystoneError as error:
        return SubmitOutcome(job_id=submission.job_id, status="refused", reason=str(error))
    except Exception as error:  # the routers after this one are still to be submitted
        return SubmitOutcome(job_id=submission.job_id, status="unknown", reason=f"{type(error).__name__}: {error}")
    return SubmitOutcome(job_id=submission.job_id, status="submitted")


def check(plan: RouterPlan) -> CompileOutcome:
    """Let the planner compile one plan."""
    from flink_jobs import planner

    try:
        planner.compile_program(check_program(plan))
    except JavaThrew as error:
        return CompileOutcome(route=plan.route, reason=reason_of(error.chain))
    except Exception as error:  # the plans after this one are still to be looked at
        return CompileOutcome(route=plan.route, reason=f"{type(error).__name__}: {error}")
    return CompileOutcome(route=plan.route)


def _take_stdout() -> TextIO:
    """Return stdout for the report alone; what the JVM and libraries print goes to stderr."""
    report = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    return report


def _write(report: TextIO, result: BaseModel) -> None:
    report.write(result.model_dump_json() + "\n")
    report.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
