"""A joined file is what a reader would have read of its parts, one after the other, with every statistic in place."""

from __future__ import annotations

import io
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from assets.compaction.join import join

COLUMNS = (
    "range::BIGINT AS number, 'x' || range AS text, range % 7 = 0 AS yes, "
    "{'at': range * 1.5, 'l': [range, NULL]} AS nested, (range % 5)::VARCHAR AS few, "
    "CASE WHEN range % 3 = 0 THEN DATE '2026-11-01' END AS day, -0.0::DOUBLE AS zero"
)


def part(folder: Path, name: str, begin: int, end: int, columns: str = COLUMNS) -> Path:
    path = folder / name
    duckdb.execute(
        f"COPY (SELECT {columns} FROM range({begin}, {end})) TO '{path}' "
        "(FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE 2048)"
    )
    return path


def joined(*parts: Path) -> bytes:
    output = io.BytesIO()
    join(parts, output)
    return output.getvalue()


@pytest.fixture
def parts(tmp_path: Path) -> list[Path]:
    return [part(tmp_path, f"{begin}.parquet", begin, begin + 5_000) for begin in (0, 10_000, 5_000)]


def test_rows_come_out_in_order_bit_by_bit(parts: list[Path]) -> None:
    together = pq.read_table(pa.BufferReader(joined(*parts)))
    assert together.equals(pa.concat_tables([pq.read_table(path) for path in parts]))
    assert str(together["zero"][0]) == "-0.0"


def test_each_row_group_keeps_its_statistics(parts: list[Path]) -> None:
    footer = pq.read_metadata(pa.BufferReader(joined(*parts)))
    assert (footer.num_rows, footer.num_row_groups) == (15_000, 9)
    lows = [footer.row_group(number).column(0).statistics.min for number in range(9)]
    assert lows == [start + at for start in (0, 10_000, 5_000) for at in (0, 2048, 4096)]


def test_duckdb_reads_it_and_prunes_by_its_bloom_filters(parts: list[Path], tmp_path: Path) -> None:
    path = tmp_path / "joined.parquet"
    path.write_bytes(joined(*parts))
    found = duckdb.execute(f"SELECT number FROM '{path}' WHERE few = '3' AND text = 'x12343'").fetchall()
    assert found == [(12_343,)]
    probe = f"SELECT count(*) FILTER (NOT bloom_filter_excludes) FROM parquet_bloom_probe('{path}', 'few', '3')"
    assert duckdb.execute(probe).fetchone() == (9,)
    filters = f"SELECT count(*) FROM parquet_metadata('{path}') WHERE bloom_filter_offset > 0"
    assert duckdb.execute(filters).fetchone() != (0,)


def test_pages_of_another_writer_and_its_page_indexes_are_found(tmp_path: Path) -> None:
    tables = [pa.table({"a": list(range(begin, begin + 3_000)), "t": ["v"] * 3_000}) for begin in (0, 3_000)]
    paths = [tmp_path / "a", tmp_path / "b"]
    for path, table in zip(paths, tables, strict=True):
        pq.write_table(table, path, row_group_size=1_000, write_page_index=True, store_schema=True)
    file = pq.ParquetFile(pa.BufferReader(joined(*paths)))
    assert file.read().equals(pa.concat_tables(tables))
    assert file.metadata.row_group(5).column(0).has_offset_index
    assert file.schema_arrow.equals(tables[0].schema)


def test_one_part_comes_out_as_it_was(parts: list[Path]) -> None:
    assert joined(parts[0]) == parts[0].read_bytes()


def test_another_schema_is_refused(parts: list[Path], tmp_path: Path) -> None:
    other = part(tmp_path, "other.parquet", 0, 10, COLUMNS.replace("BIGINT", "INTEGER"))
    with pytest.raises(ValueError, match=r"other\.parquet has another schema"):
        joined(parts[0], other)


@pytest.mark.parametrize("content", [b"", b"PAR1", b"PAR1" + b"\xff" * 40 + b"PAR1", b"no Parquet at all"], ids=repr)
def test_what_is_no_parquet_file_is_refused(parts: list[Path], tmp_path: Path, content: bytes) -> None:
    broken = tmp_path / "broken"
    broken.write_bytes(content)
    with pytest.raises(ValueError, match="broken is no Parquet file"):
        joined(parts[0], broken)


def test_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="nothing to join"):
        joined()
