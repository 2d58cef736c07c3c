"""What a compaction on Flink wrote is compared with what it replaced, and taken back when it differs.

The cluster is played by a function that rewrites the hour in one commit, as Iceberg's action does; the real one is in
test_compaction_on_flink.py.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import pyarrow as pa
import pytest
from pyiceberg.manifest import DataFile

from assets.compaction import on_flink
from assets.compaction.compact import Choices
from assets.compaction.place import chosen, compact_hour_at
from assets.compaction.plan import plan_hour
from assets.compaction.rewrite import write_files
from assets.compaction.select import Policy
from keystone_platform.errors import InvalidSpec, Terminal
from keystone_platform.gateways.iceberg_files import COMPACTION_JOB, COMPACTION_MARK
from keystone_platform.gateways.lake import IcebergLake
from keystone_platform.plan.compaction_place import Place
from tests.contract.lake_tables import TABLE, TEN, lake_with_table, land, local_settings
from tests.contract.test_lake_compaction import everything, files_of

Spoil = Callable[[pa.Table], pa.Table]


def stand_in(lake: IcebergLake, spoil: Spoil) -> Callable[..., None]:
    """Return what compacts the hour in the cluster's place, through `spoil`."""

    def compact(_settings: object, _environment: object, table: str, hour: datetime, job: str) -> None:
        loaded = lake.load(table)
        old: list[DataFile] = files_of(loaded)
        rows = spoil(loaded.scan().to_arrow())
        new = write_files(loaded, rows.to_batches(), hour, target_bytes=1 << 30)
        with loaded.transaction() as transaction:
            mark = {COMPACTION_MARK: hour.isoformat(), COMPACTION_JOB: job}
            with transaction.update_snapshot(snapshot_properties=mark).overwrite() as producer:
                for file in old:
                    producer.delete_data_file(file)
                for file in new:
                    producer.append_data_file(file)
        land(lake.load(table), range(5_000, 5_010))  # somebody commits before the rows are compared

    return compact


def one_user_changed(rows: pa.Table) -> pa.Table:
    users = rows["user_id"].to_pylist()
    return rows.set_column(rows.schema.get_field_index("user_id"), "user_id", pa.array([users[0] + 1, *users[1:]]))


def test_an_hour_that_the_cluster_compacted_rightly_stays_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lake, table = lake_with_table(tmp_path)
    land(table, range(100), files=4)
    monkeypatch.setattr(on_flink, "compact_on_flink", stand_in(lake, lambda rows: rows))
    report = compact_hour_at(local_settings(tmp_path), {}, lake, TABLE, TEN, Place.FLINK, Choices())
    assert (report.rows, report.files_before, report.files_after, len(report.written)) == (100, 4, 2, 1)
    assert report.snapshot_id in {snapshot.snapshot_id for snapshot in lake.load(TABLE).snapshots()}


@pytest.mark.parametrize(
    ("spoil", "told"),
    [(one_user_changed, "differ in user_id"), (lambda rows: rows.slice(1), "read 100 rows and wrote 99")],
    ids=["a value changed", "a row lost"],
)
def test_what_the_cluster_spoilt_is_taken_back_and_rows_of_meanwhile_stay(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, spoil: Spoil, told: str
) -> None:
    lake, table = lake_with_table(tmp_path)
    land(table, range(100), files=4)
    before = {file.file_path for file in files_of(lake.load(TABLE))}
    expected = everything(lake)
    monkeypatch.setattr(on_flink, "compact_on_flink", stand_in(lake, spoil))
    with pytest.raises(Terminal, match=told):
        compact_hour_at(local_settings(tmp_path), {}, lake, TABLE, TEN, Place.FLINK, Choices())
    after = files_of(lake.load(TABLE))
    assert before < {file.file_path for file in after}
    assert len(after) == len(before) + 1
    assert len(everything(lake)) == len(expected) + 10


def test_the_size_of_what_there_is_to_rewrite_decides_where(tmp_path: Path) -> None:
    lake, table = lake_with_table(tmp_path)
    land(table, range(100), files=4)
    plan = plan_hour(lake.load(TABLE), TEN, Policy())
    settings = local_settings(tmp_path)
    size_gb = plan.rewritten_bytes / 1e9
    below = settings.model_copy(update={"compact_on_flink_above_gb": size_gb / 2})
    above = settings.model_copy(update={"compact_on_flink_above_gb": size_gb * 2})
    alone = below.model_copy(update={"flink_rest": ""})
    assert [chosen(plan, Place.AUTO, each) for each in (settings, below, above, alone)] == [
        Place.HERE,
        Place.FLINK,
        Place.HERE,
        Place.HERE,
    ]
    assert [chosen(plan, each, below) for each in (Place.HERE, Place.FLINK)] == [Place.HERE, Place.FLINK]


def test_without_a_session_cluster_an_hour_is_refused_for_flink(tmp_path: Path) -> None:
    lake, table = lake_with_table(tmp_path)
    land(table, range(100), files=4)
    alone = local_settings(tmp_path).model_copy(update={"flink_rest": ""})
    with pytest.raises(InvalidSpec, match="no Flink session cluster"):
        compact_hour_at(alone, {}, lake, TABLE, TEN, Place.FLINK, Choices())
