"""The object store's log of requests, read as S3's bill would: by operation and by what the key is about."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from keystone_platform.settings import Settings
from keystone_platform.stack.s3_requests import (
    Kind,
    Operation,
    S3RequestLog,
    checkpoints_written,
    commits_written,
    count,
    dollars_a_month,
    rolled,
)
from tests.contract.lake_tables import local_settings

JOB = "flink/checkpoints/a.warehouse/3941d087b8f552b8b4b5c6c58b648f29"
TABLE = "warehouse/tests/busy"
AT = datetime(2026, 11, 22, 6, 31, 39, tzinfo=UTC)

CASES = [
    ("PUT", f"/keystone/{JOB}/chk-4/_metadata", Operation.PUT, Kind.CHECKPOINT),
    ("POST", f"/keystone/{JOB}/chk-4/_metadata?uploads", Operation.MULTIPART, Kind.CHECKPOINT),
    ("PUT", f"/keystone/{JOB}/chk-4/_metadata?uploadId=1&partNumber=1", Operation.MULTIPART, Kind.CHECKPOINT),
    ("GET", f"/keystone/?list-type=2&prefix={JOB}%2Fchk-4%2F&max-keys=2", Operation.LIST, Kind.CHECKPOINT),
    ("HEAD", "/keystone/flink/savepoints/savepoint-39-1/_metadata", Operation.HEAD, Kind.SAVEPOINT),
    (
        "PUT",
        f"/keystone/{TABLE}/data/0100/0010/1001/00110100/_time_hour=2026/a.parquet",
        Operation.PUT,
        Kind.TABLE_DATA,
    ),
    ("GET", f"/keystone/{TABLE}/metadata/00008-a.metadata.json", Operation.GET, Kind.TABLE_METADATA),
    ("POST", "/keystone/?delete", Operation.DELETE, Kind.OTHER),
    ("POST", "/keystone?delete", Operation.DELETE, Kind.OTHER),
    ("DELETE", f"/keystone/{TABLE}/metadata/snap-1.avro", Operation.DELETE, Kind.TABLE_METADATA),
    ("GET", "/", Operation.LIST, Kind.OTHER),
]


def line(method: str, path: str, at: datetime = AT) -> str:
    inner = f"{method}@3e http://h:1{path} HTTP/1.1"
    request = f"x.ServletApiRequest@4e{{x.ServletContextRequest@3f{{x.Tracking@4b{{{inner}}}}}}}"
    return f"{at:%Y-%m-%dT%H:%M:%S}.481Z request: {request}\n"


@pytest.fixture
def log(tmp_path: Path) -> S3RequestLog:
    settings = local_settings(tmp_path)
    catalog = {**settings.catalog, "warehouse": "s3://keystone/warehouse"}
    return S3RequestLog(tmp_path / "s3-requests.log", Settings(**{**settings.model_dump(), "catalog": catalog}))


@pytest.mark.parametrize(("method", "path", "operation", "kind"), CASES, ids=lambda value: str(value)[-30:])
def test_a_request_is_told_by_what_it_costs_and_what_it_is_about(
    log: S3RequestLog, method: str, path: str, operation: Operation, kind: Kind
) -> None:
    found = log.parse(line(method, path))
    assert found is not None
    assert (found.operation, found.kind, found.at) == (operation, kind, AT + timedelta(milliseconds=481))


def test_other_lines_are_no_requests(log: S3RequestLog) -> None:
    assert log.parse("2026-11-22T06:31:39.481Z sendSimpleErrorResponse: NoSuchKey {}\n") is None


def test_a_log_that_was_begun_anew_meanwhile_loses_nothing(log: S3RequestLog) -> None:
    rolled(log.file).write_text(line("PUT", f"/keystone/{JOB}/chk-1/_metadata"))
    written = [
        line("PUT", f"/keystone/{JOB}/chk-2/_metadata"),
        line("PUT", f"/keystone/{TABLE}/metadata/00001-a.metadata.json"),
        line("PUT", f"/keystone/{JOB}/chk-3/_metadata", AT + timedelta(hours=1)),
    ]
    log.file.write_text("".join(written))
    found = log.between(AT, AT + timedelta(minutes=1))
    assert (checkpoints_written(found), commits_written(found)) == (2, 1)
    assert count(found) == {(Kind.CHECKPOINT, Operation.PUT): 2, (Kind.TABLE_METADATA, Operation.PUT): 1}
    assert dollars_a_month(count(found), seconds=30.0) == pytest.approx(3 * 5e-6 * 86_400)
