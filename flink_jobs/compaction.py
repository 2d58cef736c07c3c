"""Compacts one hour of a table on the Flink cluster: `python -m flink_jobs.compaction < request.json`.

Iceberg's own action plans in this process, rewrites in a bounded job on the cluster, and commits here, so this process
has to live until the job has ended. It merges files and does not sort. Reads a CompactionRequest from stdin and writes
a CompactionOutcome to stdout. Exit status: 0 however it went, NO_JVM when there was no JVM.
"""

from __future__ import annotations

import os
import sys
from datetime import UTC, datetime, timedelta

from flink_jobs.catalog import catalog_name, catalog_options
from flink_jobs.refusal import JavaThrew, reason_of
from keystone_platform.plan.submission import NO_JVM, CompactionOutcome, CompactionRequest

TIME = "_time"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_HOUR = timedelta(hours=1)


def main() -> int:
    """Run the command line; see the module."""
    request = CompactionRequest.model_validate_json(sys.stdin.read())
    report = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what the JVM prints goes to stderr
    from flink_jobs import planner  # starting with PyFlink takes a second: not before the request is read

    try:
        planner.start_jvm()
    except Exception as error:  # whatever it is, it is told and nothing was done
        sys.stderr.write(f"no JVM: {error}\n")
        return NO_JVM
    report.write(rewrite(request).model_dump_json() + "\n")
    report.flush()
    return 0


def rewrite(request: CompactionRequest) -> CompactionOutcome:
    """Rewrite the hour and say what became of it; never raises for what Flink or Iceberg think of it."""
    from flink_jobs import planner

    try:
        replaced, written = planner.rewrite_data_files(
            catalog=(catalog_name(request.connection), catalog_options(request.connection)),
            table=request.table,
            column=TIME,
            bounds=tuple((time - _EPOCH) // timedelta(microseconds=1) for time in (request.hour, request.hour + _HOUR)),
            target_bytes=request.target_bytes,
            summary=request.summary,
            cluster=planner.cluster_options(request.flink_rest),
        )
    except JavaThrew as error:
        return CompactionOutcome(replaced=0, written=0, reason=reason_of(error.chain))
    return CompactionOutcome(replaced=replaced, written=written)


if __name__ == "__main__":
    sys.exit(main())
