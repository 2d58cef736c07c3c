"""A table's life through Keystone's own code: appends, compaction, evolution, expiry; and what is in it then."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pyarrow as pa
from pyiceberg.io.pyarrow import schema_to_pyarrow
from pyiceberg.table import Table

from assets.compaction.compact import compact_hour
from keystone_platform.gateways.iceberg_files import live_entries
from keystone_platform.gateways.lake import IcebergLake
from keystone_platform.plan.router_plan import OutputColumn, RouterPlan
from keystone_platform.settings import Settings
from keystone_platform.spec.types import Array, Field, FieldType, Scalar, Struct
from tests.contract.lake_tables import ELEVEN, TABLE, TEN, append, warehouse_plan
from tests.engines.checksum import Sums, sums

ROWS = 40
"""Of each append."""

BEFORE: dict[str, FieldType] = {
    "user_id": Scalar.INT,
    "country": Scalar.STRING,
    "live": Scalar.BOOLEAN,
    "ratio": Scalar.FLOAT,
    "score": Scalar.DOUBLE,
    "day": Scalar.DATE,
    "seen_at": Scalar.TIMESTAMP,
    "device": Struct((Field("os", Scalar.STRING), Field("screen", Struct((Field("dpi", Scalar.INT),))))),
    "tags": Array(Scalar.STRING),
    "samples": Array(Scalar.DOUBLE),
}
"""One column of each type, beside the raw bytes and the metadata."""

AFTER: dict[str, FieldType] = {
    **BEFORE,
    "user_id": Scalar.BIGINT,
    "ratio": Scalar.DOUBLE,
    "device": Struct(
        (
            Field("os", Scalar.STRING),
            Field("screen", Struct((Field("dpi", Scalar.BIGINT), Field("dark", Scalar.BOOLEAN)))),
            Field("model", Scalar.STRING),
        )
    ),
    "price": Scalar.DOUBLE,
}
"""After the evolution: wider, also inside a struct, and with more columns and fields."""

_ODD_DOUBLES = (math.nan, -0.0, 0.0, math.inf, -math.inf, 5e-324, 1.7976931348623157e308, 0.1, None)
_ODD_TEXTS = ("", "US", "\x00", "ünï😀", " padded ", "'quoted'", None)
_ODD_BYTES = (b"", b"\x00\xff", b'{"a": 1}', None)


@dataclass
class Scenario:
    """One table and the rows that were put into it. `life` leads it through its steps."""

    settings: Settings
    rows: list[dict[str, object]] = field(default_factory=list)

    def life(self) -> Iterator[str]:
        """Do one step after the other and yield its name when it is done; the table is then as `truth` says."""
        yield from self._named(
            {
                "five appends": lambda: [self.append(TEN) for _ in range(5)],
                "appends to another hour and without a time": lambda: [self.append(hour) for hour in (ELEVEN, None)],
                "compaction of an hour": lambda: self.compact(TEN),
                "new columns, wider types": lambda: self.evolve(AFTER),
                "appends after the evolution": lambda: [self.append(hour) for hour in (TEN, TEN, None)],
                "compaction of files of before and after": lambda: [self.compact(hour) for hour in (TEN, None)],
                "a late append": lambda: self.append(TEN),
                "expiry of all snapshots but the last": self.expire,
                "removal of what nothing refers to": self.remove_unreferenced,
                "an append and a compaction after it": lambda: [self.append(TEN), self.compact(TEN)],
            }
        )

    @property
    def lake(self) -> IcebergLake:
        return IcebergLake(self.settings)

    def truth(self) -> Sums:
        """Return what every reader has to find now."""
        return sums(self.rows, leaves(self.lake.load(TABLE)))

    def evolve(self, columns: dict[str, FieldType]) -> None:
        self.lake.ensure_table(plan_of(columns))

    def append(self, hour: datetime | None) -> None:
        """Add one snapshot of two files, as a router's commit does."""
        table = self.lake.load(TABLE)
        added = [_row(number, hour) for number in range(len(self.rows), len(self.rows) + ROWS)]
        schema = schema_to_pyarrow(table.schema(), include_field_ids=False)
        fitting = [_fit(row, schema) for row in added]
        halves = (fitting[: ROWS // 2], fitting[ROWS // 2 :])
        append(table, [pa.Table.from_pylist(half, schema=schema) for half in halves], hour)
        self.rows += fitting

    def compact(self, hour: datetime | None) -> None:
        report = compact_hour(self.lake, TABLE, hour)
        assert report.snapshot_id is not None, f"nothing was compacted in {hour}"

    def expire(self) -> None:
        """Forget every snapshot that no ref needs."""
        beyond = (datetime.now(UTC) + timedelta(days=1)).replace(tzinfo=None)
        self.lake.load(TABLE).maintenance.expire_snapshots().older_than(beyond).commit()

    def remove_unreferenced(self) -> None:
        """Delete the data files that the table does not hold any more, so that a reader of old state would fail."""
        table = self.lake.load(TABLE)
        live = {entry.data_file.file_path.removeprefix("file://") for entry in live_entries(table)}
        present = {str(path) for path in Path(table.location().removeprefix("file://")).rglob("*.parquet")}
        assert live < present, "there is nothing to remove"
        for path in present - live:
            Path(path).unlink()

    def _named(self, steps: dict[str, Callable[[], object]]) -> Iterator[str]:
        self.evolve(BEFORE)
        for name, step in steps.items():
            step()
            yield name


def plan_of(columns: dict[str, FieldType]) -> RouterPlan:
    """Return a warehouse plan of those columns and the raw bytes."""
    selected = tuple(OutputColumn(name=name, path=(name,), type=kind) for name, kind in columns.items())
    return warehouse_plan(raw=True).model_copy(update={"columns": selected})


def leaves(table: Table) -> list[str]:
    """Return the dotted path of every column of the table that is no struct."""
    found: list[str] = []

    def walk(prefix: str, fields: list[pa.Field]) -> None:
        for each in fields:
            path = f"{prefix}{each.name}"
            if pa.types.is_struct(each.type):
                walk(f"{path}.", list(each.type.fields))
            else:
                found.append(path)

    walk("", list(schema_to_pyarrow(table.schema(), include_field_ids=False)))
    return found


def _row(number: int, hour: datetime | None) -> dict[str, object]:
    """Return the row of that offset; odd values of each type come by in turn."""
    moment = TEN - timedelta(days=400 * (number % 3), microseconds=number)
    screen = {"dpi": number % 500 or None, "dark": bool(number % 2)}
    return {
        "_value": _turn(_ODD_BYTES, number),
        "user_id": number * 37 % 2**31 if number % 11 else None,
        "country": _turn(_ODD_TEXTS, number),
        "live": (True, False, None)[number % 3],
        "ratio": (math.nan, -0.0, 0.5, None)[number % 4],
        "score": _turn(_ODD_DOUBLES, number),
        "day": date(1969, 12, 31) + timedelta(days=number * 100) if number % 7 else None,
        "seen_at": moment if number % 5 else None,
        "device": {"os": "tv", "screen": screen if number % 4 else None, "model": f"m{number}"} if number % 3 else None,
        "tags": (["a", None, ""], [], None)[number % 3],
        "samples": ([math.nan, -0.0, None], [0.1], None, [])[number % 4],
        "price": number / 3,
        "_guid": f"guid-{number}",
        "_time": None if hour is None else hour + timedelta(milliseconds=number),
        "_host": "host",
        "_app": None,
        "_topic": "playback",
        "_partition": number % 3,
        "_offset": number,
    }


def _turn(values: tuple[object, ...], number: int) -> object:
    return values[number % len(values)]


def _fit(row: dict[str, object], schema: pa.Schema) -> dict[str, object]:
    """Return the row with the schema's fields only."""
    return {each.name: _fitting(row.get(each.name), each.type) for each in schema}


def _fitting(value: object, kind: pa.DataType) -> object:
    if isinstance(value, dict) and pa.types.is_struct(kind):
        return {each.name: _fitting(value.get(each.name), each.type) for each in kind.fields}
    return value
