"""Which requests reach the embedded object store, read from its own log: what S3 would bill, and for what."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

from keystone_platform.settings import Settings

LOG_NAME = "s3-requests"
"""Name of the server's log of requests, beside the other logs."""

LOG_BYTES = 20 * 1024 * 1024
"""The log begins anew at this size; the one before is kept, as `<name>.1.log`."""

LOGBACK = """\
  <appender name="REQUESTS" class="ch.qos.logback.core.rolling.RollingFileAppender">
    <file>{log}</file>
    <rollingPolicy class="ch.qos.logback.core.rolling.FixedWindowRollingPolicy">
      <fileNamePattern>{rolled}</fileNamePattern><minIndex>1</minIndex><maxIndex>1</maxIndex>
    </rollingPolicy>
    <triggeringPolicy class="ch.qos.logback.core.rolling.SizeBasedTriggeringPolicy">
      <maxFileSize>{bytes}</maxFileSize>
    </triggeringPolicy>
    <encoder><pattern>%d{{"yyyy-MM-dd'T'HH:mm:ss.SSS'Z'", UTC}} %msg%n</pattern></encoder>
  </appender>
  <logger name="org.gaul.s3proxy.S3ProxyHandler" level="DEBUG" additivity="false">
    <appender-ref ref="REQUESTS"/>
  </logger>
"""
"""S3Proxy tells its requests, and nothing else of interest, at DEBUG."""

_LINE = re.compile(r"(?P<at>\S+Z) request: .*\{(?P<method>[A-Z]+)@\w+ (?P<url>\S+) HTTP/")

A_MONTH_S = 30 * 24 * 3600


class Operation(StrEnum):
    """What a request does, as S3's price list groups it."""

    PUT = "PUT"
    MULTIPART = "multipart"
    """Begin, part or completion of an upload in parts; priced as PUT."""
    LIST = "LIST"
    """Priced as PUT."""
    GET = "GET"
    HEAD = "HEAD"
    """Priced as GET."""
    DELETE = "DELETE"
    """Of one object or of many; free."""


class Kind(StrEnum):
    """What the request is about, by the key or the prefix."""

    CHECKPOINT = "checkpoints"
    SAVEPOINT = "savepoints"
    TABLE_DATA = "table data"
    TABLE_METADATA = "table metadata"
    OTHER = "other"


DOLLARS_PER_REQUEST = {
    Operation.PUT: 5e-6,
    Operation.MULTIPART: 5e-6,
    Operation.LIST: 5e-6,
    Operation.GET: 4e-7,
    Operation.HEAD: 4e-7,
    Operation.DELETE: 0.0,
}
"""S3 Standard, us-east-1, list price; see docs/cost.md."""


@dataclass(frozen=True, slots=True)
class S3Request:
    """One request; `key` is the object's, the prefix of a LIST, empty for a DELETE of many."""

    at: datetime
    operation: Operation
    kind: Kind
    key: str


@dataclass(frozen=True)
class S3RequestLog:
    """The requests that reached the object store of a stack; those of the last 20 MB of its log at least."""

    file: Path
    settings: Settings

    def between(self, begin: datetime, end: datetime) -> tuple[S3Request, ...]:
        """Return the requests that began in that time, in their order; blocks for reading the log."""
        lines = (line for file in (rolled(self.file), self.file) for line in _lines(file))
        return tuple(each for line in lines if (each := self.parse(line)) and begin <= each.at < end)

    def parse(self, line: str) -> S3Request | None:
        """Return the request that a line of the log tells, None if it tells none."""
        match = _LINE.match(line)
        if match is None:
            return None
        url = urlsplit(match["url"])
        query = parse_qs(url.query, keep_blank_values=True)
        bucket, _, key = unquote(url.path).removeprefix("/").partition("/")
        operation = _operation(match["method"], key, query)
        if operation is Operation.LIST:
            key = query.get("prefix", [""])[0]
        at = datetime.fromisoformat(match["at"]).astimezone(UTC)
        return S3Request(at, operation, self._kind(f"s3://{bucket}/{key}"), key)

    def _kind(self, uri: str) -> Kind:
        if uri.startswith(f"{self.settings.checkpoints}/checkpoints/"):
            return Kind.CHECKPOINT
        if uri.startswith(f"{self.settings.checkpoints}/savepoints/"):
            return Kind.SAVEPOINT
        warehouse = self.settings.catalog.get("warehouse", "").rstrip("/")
        if not warehouse or not uri.startswith(f"{warehouse}/"):
            return Kind.OTHER
        return Kind.TABLE_METADATA if "/metadata/" in uri else Kind.TABLE_DATA


def count(requests: Iterable[S3Request]) -> Counter[tuple[Kind, Operation]]:
    """Return how many requests there are of each kind and operation."""
    return Counter((each.kind, each.operation) for each in requests)


def checkpoints_written(requests: Iterable[S3Request]) -> int:
    """Return how many checkpoints the requests wrote."""
    return len(_written(requests, Kind.CHECKPOINT, "/_metadata"))


def commits_written(requests: Iterable[S3Request]) -> int:
    """Return how many commits to tables the requests wrote."""
    return len(_written(requests, Kind.TABLE_METADATA, ".metadata.json"))


def dollars_a_month(counts: Counter[tuple[Kind, Operation]], seconds: float) -> float:
    """Return what the requests of these seconds would cost on S3 if they went on for 30 days."""
    price = sum(DOLLARS_PER_REQUEST[operation] * number for (_, operation), number in counts.items())
    return price * A_MONTH_S / seconds


def rolled(file: Path) -> Path:
    """Return where the log goes when it is full."""
    return file.with_name(f"{file.stem}.1{file.suffix}")


def _written(requests: Iterable[S3Request], kind: Kind, suffix: str) -> set[str]:
    writes = (Operation.PUT, Operation.MULTIPART)
    return {
        each.key for each in requests if each.kind is kind and each.operation in writes and each.key.endswith(suffix)
    }


def _operation(method: str, key: str, query: dict[str, list[str]]) -> Operation:
    if "delete" in query:
        return Operation.DELETE
    if method in ("PUT", "POST") and ("uploads" in query or "uploadId" in query):
        return Operation.MULTIPART
    if method == "GET" and not key:
        return Operation.LIST
    return Operation(method) if method in set(Operation) else Operation.PUT


def _lines(file: Path) -> Iterator[str]:
    if file.is_file():
        with file.open(encoding="utf-8", errors="replace") as lines:
            yield from lines
