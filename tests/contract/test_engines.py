"""Every engine reads the same, whatever became of the table. Spark, which is large, has its own: make spark-check."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest

from tests.contract.lake_tables import local_settings
from tests.engines.checksum import differences, sums
from tests.engines.readers import in_process
from tests.engines.scenario import Scenario


def test_pyiceberg_and_duckdb_read_the_same_at_every_step_of_a_tables_life(tmp_path: Path) -> None:
    scenario = Scenario(local_settings(tmp_path))
    readers = in_process(scenario.settings)
    wrong = [
        f"{step}: {name}: {line}"
        for step in scenario.life()
        for name, read in readers.items()
        for line in differences(scenario.truth(), read())
    ]
    assert wrong == []


def a_row(offset: int, value: object) -> dict[str, object]:
    return {"_topic": "t", "_partition": 0, "_offset": offset, "value": value}


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (0.0, -0.0),
        (math.nan, None),
        (1, True),
        ("", None),
        (b"a", "a"),
        ([], None),
        (["a", "b"], ["ab"]),
        ([None], []),
    ],
)
def test_a_changed_value_changes_the_checksum(one: object, other: object) -> None:
    assert list(differences(sums([a_row(1, one)], ["value"]), sums([a_row(1, other)], ["value"])))


def test_a_value_in_another_row_changes_the_checksum_and_the_order_of_rows_does_not() -> None:
    rows = [a_row(1, "a"), a_row(2, "b")]
    swapped = [a_row(1, "b"), a_row(2, "a")]
    assert sums(rows, ["value"]) == sums(reversed(rows), ["value"])
    assert sums(rows, ["value"]).columns != sums(swapped, ["value"]).columns
    twice = sums([*rows, rows[0]], ["value"])
    assert "rows: 3 instead of 2" in differences(sums(rows, ["value"]), twice)


def test_a_moment_is_the_same_in_every_zone() -> None:
    utc = datetime(2026, 11, 1, tzinfo=UTC)
    there = utc.astimezone(timezone(timedelta(hours=9)))
    assert sums([a_row(1, utc)], ["value"]) == sums([a_row(1, there)], ["value"])
