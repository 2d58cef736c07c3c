"""Has the Flink cluster compact an hour that is too large for one machine: the border to flink_jobs/compaction.py."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping
from datetime import datetime

from keystone_platform.errors import Terminal, Transient, UnknownOutcome
from keystone_platform.gateways.flink_home import flink_client_environment, wheel_folder
from keystone_platform.gateways.iceberg_files import COMPACTION_JOB, COMPACTION_MARK
from keystone_platform.plan.submission import NO_JVM, CompactionOutcome, CompactionRequest, Connection
from keystone_platform.settings import Settings

TARGET_BYTES = 256 * 1024 * 1024

LONGEST_COMPLAINT = 500


def compact_on_flink(
    settings: Settings, environment: Mapping[str, str], table: str, hour: datetime, job: str
) -> CompactionOutcome:
    """Merge the files of the hour in a bounded job on the cluster, in one commit; files are merged, rows not sorted.

    Blocks until it is done. Rows appended meanwhile stay.

    Args:
        settings: where the cluster is.
        environment: of the process that submits.
        table: `namespace.table`.
        hour: its start, UTC.
        job: goes into the commit's summary, under COMPACTION_JOB.

    Raises:
        Transient: no JVM could be started here; nothing was done.
        Terminal: Flink or Iceberg refused, or the job failed.
        UnknownOutcome: the process ended without saying; the table's newest snapshots tell.
    """
    request = CompactionRequest(
        flink_rest=settings.flink_rest,
        connection=Connection.of(settings),
        table=table,
        hour=hour,
        target_bytes=TARGET_BYTES,
        summary={COMPACTION_MARK: hour.isoformat(), COMPACTION_JOB: job},
    )
    ended = subprocess.run(
        [sys.executable, "-m", "flink_jobs.compaction"],
        # without FLINK_HOME, PyFlink sets FLINK_LIB_DIR and FLINK_PLUGINS_DIR back to the wheel's
        env={**environment, **flink_client_environment(settings, environment), "FLINK_HOME": str(wheel_folder())},
        input=request.model_dump_json(),
        capture_output=True,
        check=False,
        text=True,
        encoding="utf-8",
        errors="replace",
    )
    log = " ".join(ended.stderr.split())[-LONGEST_COMPLAINT:]
    if ended.returncode == NO_JVM:
        message = f"no JVM could be started to compact on Flink: {log}"
        raise Transient(message, mend="Run `keystone doctor`.")
    if not ended.stdout.endswith("\n"):
        message = f"nobody knows whether the hour was compacted; the process ended with {ended.returncode}: {log}"
        raise UnknownOutcome(message, mend="Compact the hour again: it is harmless.")
    outcome = CompactionOutcome.model_validate_json(ended.stdout)
    if outcome.reason:
        message = f"the hour {hour:%Y-%m-%d %H} of {table} was not compacted on Flink: {outcome.reason}"
        raise Terminal(message, mend="See the job in Flink's UI, or compact here: --on here.")
    return outcome
