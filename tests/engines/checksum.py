"""What engines that read the same table have to agree on: rows, and a checksum of each column. No library needed.

Each value is hashed together with its row's identity and the hashes are added up, so the order of rows does not matter
and a value in another row does. Floating point counts by its bits (-0.0 is not 0.0), but for NaN: there is one NaN.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from hashlib import blake2b

IDENTITY = ("_topic", "_offset")
"""Columns that tell one row from another, in the scenario: Spark can't be asked for `_partition` (see readers.py)."""

_MODULUS = 1 << 64
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

Row = Mapping[str, object]


@dataclass(frozen=True)
class Sums:
    """Of a table as a reader sees it: rows, distinct identities, and the checksum of each column by its dotted path."""

    rows: int
    distinct: int
    columns: Mapping[str, str]

    def without(self, column: str) -> Sums:
        """Return the same of a reader that is not asked for that column."""
        return replace(self, columns={name: total for name, total in self.columns.items() if name != column})


def sums(rows: Iterable[Row], columns: Iterable[str]) -> Sums:
    """Add up the rows.

    Args:
        rows: as Python values: structs are mappings, lists are sequences, times are aware or UTC.
        columns: dotted paths of the leaf columns; one that a row lacks is null in it.
    """
    paths = [(column, column.split(".")) for column in columns]
    totals = {column: 0 for column, _ in paths}
    count, identities = 0, set()
    for row in rows:
        identity = b"".join(_bytes(row[name]) for name in IDENTITY)
        identities.add(identity)
        count += 1
        for column, path in paths:
            totals[column] = (totals[column] + _hash(identity + _bytes(_at(row, path)))) % _MODULUS
    return Sums(count, len(identities), {column: f"{total:016x}" for column, total in totals.items()})


def _at(row: object, path: Iterable[str]) -> object:
    for name in path:
        if not isinstance(row, Mapping):
            return None
        row = row.get(name)
    return row


def _hash(content: bytes) -> int:
    return int.from_bytes(blake2b(content, digest_size=8).digest(), "big")


def _bytes(value: object) -> bytes:
    """Return a value's canonical form: its kind, its length, its bytes."""
    kind, content = _form(value)
    return kind + struct.pack(">I", len(content)) + content


def _form(value: object) -> tuple[bytes, bytes]:
    match value:
        case None:
            return b"0", b""
        case bool():
            return b"b", bytes([value])
        case int():
            return b"i", str(value).encode()
        case float():
            return b"f", b"nan" if value != value else struct.pack(">d", value)
        case str():
            return b"s", value.encode()
        case bytes() | bytearray():
            return b"x", bytes(value)
        case datetime():
            aware = value if value.tzinfo else value.replace(tzinfo=UTC)
            past = aware - _EPOCH
            return b"t", str((past.days * 86_400 + past.seconds) * 1_000_000 + past.microseconds).encode()
        case date():
            return b"d", value.isoformat().encode()
        case list() | tuple():
            return b"l", b"".join(map(_bytes, value))
    message = f"no canonical form of a {type(value).__name__}"
    raise TypeError(message)


def differences(expected: Sums, found: Sums) -> Iterator[str]:
    """Yield what is not the same, one line each."""
    for name in ("rows", "distinct"):
        if getattr(expected, name) != getattr(found, name):
            yield f"{name}: {getattr(found, name)} instead of {getattr(expected, name)}"
    for column in sorted(expected.columns.keys() | found.columns.keys()):
        if expected.columns.get(column) != found.columns.get(column):
            yield f"column {column}: checksum {found.columns.get(column)} instead of {expected.columns.get(column)}"
