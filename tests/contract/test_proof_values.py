"""A row's mark is the same from the event and from the table, for every type, and another one for another value."""

from __future__ import annotations

from contextlib import closing
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
from pyiceberg.io.pyarrow import schema_to_pyarrow

from assets.compaction.rewrite import write_files
from assets.proof.compare import _columns
from assets.proof.expected import Expected, RowMark
from keystone_platform.audit.records import Record
from keystone_platform.gateways.lake import IcebergLake
from keystone_platform.plan.plan_router import plan_router
from keystone_platform.query.session import bare_session
from keystone_platform.spec.models import StreamSpec
from tests.contract.lake_tables import TEN, local_settings

SCHEMA = {
    "device": {"type": "string", "os": {"name": "string", "v": "int"}},
    "ratio": "float",
    "score": "double",
    "tags": "array<string>",
    "at": "timestamp",
    "day": "date",
    "ok": "boolean",
}
NEW_YEAR = datetime(2026, 1, 1, tzinfo=UTC)
FULL = {"device": {"type": "tv", "os": {"name": "x", "v": 1}}, "ratio": 0.1, "score": 1e-320, "tags": ["a", None]}
EVENTS: list[tuple[bytes, dict[str, Any]]] = [
    (
        b'{"device": {"type": "tv", "os": {"name": "x", "v": 1}}, "ratio": 0.1, "score": 1e-320, "tags": ["a", null],'
        b' "at": "2026-01-01T00:00:00Z", "day": "2026-01-01", "ok": true}',
        {**FULL, "at": NEW_YEAR, "day": date(2026, 1, 1), "ok": True},
    ),
    (b'{"device": null}', {}),
    (b'{"device": {}}', {"device": {"type": None, "os": None}}),
    (
        b'{"device": {"os": {}}, "ratio": -0.0, "tags": []}',
        {"device": {"os": {"name": None}}, "ratio": -0.0, "tags": []},
    ),
    (b'{"device": {"os": {"v": 1}}}', {"device": {"type": None, "os": {"name": None, "v": 2}}}),
]


def test_a_mark_is_the_same_on_both_sides_unless_a_value_differs(tmp_path: Path) -> None:
    stream = {"stream": "s", "owner": "team:t", "schema": SCHEMA, "routes": [{"sink": {"warehouse": {"table": "e.s"}}}]}
    spec = StreamSpec.model_validate(stream)
    plan = plan_router(spec, spec.routes[0])
    settings = local_settings(tmp_path)
    lake = IcebergLake(settings)
    lake.ensure_table(plan)
    table = lake.load("e.s")
    schema = schema_to_pyarrow(table.schema(), include_field_ids=False)
    rows = [{"_guid": "g", "_time": TEN, "_offset": number, **row} for number, (_, row) in enumerate(EVENTS)]
    columns = {field.name: pa.array([row.get(field.name) for row in rows], field.type) for field in schema}
    written = write_files(table, pa.table(columns, schema=schema).to_batches(), TEN, 1 << 30)
    with table.transaction() as transaction, transaction.update_snapshot().fast_append() as append:
        for file in written:
            append.append_data_file(file)
    table.refresh()
    millis = int(TEN.timestamp() * 1000)
    records = [Record(0, n, payload, {"ce_id": b"g"}, None, millis) for n, (payload, _) in enumerate(EVENTS)]
    with closing(bare_session(settings.s3)) as session:
        mark = RowMark(_columns(session, table.metadata_location))
        expected = Expected(plan, mark)
        session.register("batch", expected.events(records))
        events = [row[3] for row in session.execute(f"SELECT {expected.columns} FROM batch").fetchall()]
        query = f'SELECT {mark.landed} FROM iceberg_scan(?) ORDER BY "_offset"'
        landed = [row[0] for row in session.execute(query, [table.metadata_location]).fetchall()]
    assert [left == right for left, right in zip(events, landed, strict=True)] == [True, True, True, True, False]
