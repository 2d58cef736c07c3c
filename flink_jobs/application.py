"""The main program of a router that has a Flink cluster of its own: `python -m flink_jobs.application REQUEST`.

PyFlink's driver runs it in the JobManager, with REQUEST as `ApplicationRequest.encoded` writes it. What the cluster is
configured with (job id, savepoint, high availability) reaches the job beside the options that the program itself sets.
"""

from __future__ import annotations

import sys

from flink_jobs.statements import router_program
from keystone_platform.plan.submission import ApplicationRequest


def main(arguments: list[str]) -> None:
    """Start the request's router on the cluster that this process belongs to.

    Raises:
        ValueError: the request is of another form.
        JavaThrew: Flink does not take the program; the cluster then reports the job as failed.
    """
    (encoded,) = arguments
    request = ApplicationRequest.decoded(encoded)
    from flink_jobs import planner  # PyFlink takes a second to import

    planner.start_program(router_program(request.submission, request.connection), {})


if __name__ == "__main__":
    main(sys.argv[1:])
