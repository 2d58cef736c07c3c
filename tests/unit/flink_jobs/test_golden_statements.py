"""What Flink is told, byte for byte. A change here changes every router that is started from then on.

`UPDATE_GOLDEN=1 pytest tests/unit/flink_jobs` writes the files anew; look at the diff before you commit it.
"""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path

import pytest

from flink_jobs.statements import Program, check_program, router_program
from keystone_platform.plan.backfill import Backfill, Scope, Span, TableSnapshot, hours
from tests.unit.flink_jobs.plans import (
    CONNECTION,
    kafka,
    kafka_projected,
    on_two_clusters,
    search,
    submission,
    warehouse,
    warehouse_avro,
    warehouse_raw,
)

GOLDEN = Path(__file__).parents[2] / "golden" / "statements"
SAVEPOINT = "s3://bucket/flink/savepoints/savepoint-1"

BACKFILL = Backfill(
    branch="backfill-0123456789-01234567",
    request="0123456789",
    scope=Scope(
        times=hours([datetime(2026, 11, 1, hour, tzinfo=UTC) for hour in (10, 11, 13)]),
        spans=(
            Span(topic="playback", partition=0, begin=100, end=200),
            Span(topic="playback.replay.warehouse", partition=0, begin=0, end=7),
        ),
    ),
)

LANDED = BACKFILL.model_copy(update={"source": TableSnapshot(table="raw.playback", snapshot_id=4_711)})

PROGRAMS = {
    "warehouse": router_program(submission(warehouse()), CONNECTION),
    "warehouse_avro": router_program(submission(warehouse_avro()), CONNECTION),
    "warehouse_raw": router_program(submission(warehouse_raw()), CONNECTION),
    "warehouse_from_savepoint": router_program(submission(warehouse(None, parallelism=4), SAVEPOINT), CONNECTION),
    "warehouse_two_clusters": router_program(submission(on_two_clusters(warehouse())), CONNECTION),
    "kafka": router_program(submission(kafka()), CONNECTION),
    "kafka_raw": router_program(submission(kafka(None)), CONNECTION),
    "kafka_projected": router_program(submission(kafka_projected()), CONNECTION),
    "search": router_program(submission(search()), CONNECTION),
    "search_two_clusters": router_program(submission(on_two_clusters(search())), CONNECTION),
    "backfill": router_program(submission(warehouse()).model_copy(update={"backfill": BACKFILL}), CONNECTION),
    "backfill_from_table": router_program(submission(warehouse()).model_copy(update={"backfill": LANDED}), CONNECTION),
    "backfill_raw_from_table": router_program(
        submission(warehouse_raw()).model_copy(update={"backfill": LANDED}), CONNECTION
    ),
    "check_warehouse": check_program(warehouse()),
    "check_warehouse_avro": check_program(warehouse_avro()),
}


@pytest.mark.parametrize(("name", "program"), PROGRAMS.items(), ids=PROGRAMS.keys())
def test_what_flink_is_told_does_not_change_unnoticed(name: str, program: Program) -> None:
    file = GOLDEN / f"{name}.sql"
    if os.environ.get("UPDATE_GOLDEN") == "1":
        file.write_text(str(program))
    assert str(program) == file.read_text()


def test_no_golden_file_is_left_of_a_program_that_is_gone() -> None:
    assert {file.stem for file in GOLDEN.iterdir()} == set(PROGRAMS)
