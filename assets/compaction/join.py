"""Joins Parquet files of one schema into one, without decoding a value: pages are copied, footers are merged.

The format (apache/parquet-format, parquet.thrift): "PAR1", pages, a footer in Thrift's compact protocol, its length
in four bytes, "PAR1". Only the footer knows where pages are, by offsets from the file's start; so what follows others
needs its offsets moved, and nothing else. The footer is read as a tree of numbered fields, so that fields which this
module knows nothing of, statistics and logical types among them, come out as they went in.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, Protocol

from thrift.protocol.TCompactProtocol import TCompactProtocol
from thrift.Thrift import TType
from thrift.transport.TTransport import TMemoryBuffer

MAGIC = b"PAR1"
_TAIL_BYTES = 8
_CHUNK_BYTES = 1 << 20

_SCHEMA, _NUM_ROWS, _ROW_GROUPS = 2, 3, 4
"""Fields of FileMetaData."""

_COLUMNS, _GROUP_OFFSET, _ORDINAL = 1, 5, 7
"""Of RowGroup."""

_COLUMN_META = 3
_CHUNK_OFFSETS = (2, 4, 6)
"""Of ColumnChunk: file_offset, offset_index_offset, column_index_offset."""

_PAGE_OFFSETS = (9, 10, 11, 14)
"""Of ColumnMetaData: data_page_offset, index_page_offset, dictionary_page_offset, bloom_filter_offset."""


class _Value(NamedTuple):
    """A value and its Thrift type. A struct's value is a dict of _Value by field number, in the order of the file."""

    type: int
    value: Any


class _List(NamedTuple):
    """The elements of a list, bare; `type` is theirs."""

    type: int
    values: list[Any]


class Output(Protocol):
    """What a joined file is written to."""

    def write(self, data: bytes, /) -> object: ...


def join(parts: Sequence[Path], output: Output) -> None:
    """Write the rows of `parts`, in that order, as one Parquet file; blocks for as long as copying their bytes takes.

    Raises:
        ValueError: a part is no Parquet file, or its schema is another than the first one's.
    """
    merged: dict[int, _Value] | None = None
    output.write(MAGIC)
    at = len(MAGIC)
    for part in parts:
        with part.open("rb") as file:
            footer, pages_end = _read_footer(file, part)
            _move(footer, at - len(MAGIC))
            _copy(file, output, len(MAGIC), pages_end)
        at += pages_end - len(MAGIC)
        merged = _merged(merged, footer, part) if merged else footer
    if merged is None:
        message = "nothing to join"
        raise ValueError(message)
    _number(merged)
    encoded = _encode(merged)
    output.write(encoded + len(encoded).to_bytes(4, "little") + MAGIC)


def _read_footer(file: BinaryIO, part: Path) -> tuple[dict[int, _Value], int]:
    """Return the footer and where it begins."""
    size = file.seek(0, 2)
    file.seek(max(0, size - _TAIL_BYTES))
    tail = file.read()
    length = int.from_bytes(tail[:4], "little")
    begin = size - _TAIL_BYTES - length
    if tail[4:] != MAGIC or begin < len(MAGIC):
        message = f"{part.name} is no Parquet file"
        raise ValueError(message)
    file.seek(begin)
    return _read_struct(TCompactProtocol(TMemoryBuffer(file.read(length)))), begin


def _move(footer: dict[int, _Value], by: int) -> None:
    """Add to every offset; 0 is what writers say that leave a deprecated one out."""
    for group in footer[_ROW_GROUPS].value.values:
        _add(group, (_GROUP_OFFSET,), by)
        for chunk in group[_COLUMNS].value.values:
            _add(chunk, _CHUNK_OFFSETS, by)
            _add(chunk[_COLUMN_META].value, _PAGE_OFFSETS, by)


def _add(struct: dict[int, _Value], fields: Sequence[int], by: int) -> None:
    for field in fields:
        if (known := struct.get(field)) and known.value:
            struct[field] = known._replace(value=known.value + by)


def _merged(first: dict[int, _Value], other: dict[int, _Value], part: Path) -> dict[int, _Value]:
    if first[_SCHEMA] != other[_SCHEMA]:
        message = f"{part.name} has another schema than the files before it"
        raise ValueError(message)
    rows, groups = first[_NUM_ROWS], first[_ROW_GROUPS].value
    both = _List(groups.type, [*groups.values, *other[_ROW_GROUPS].value.values])
    return first | {
        _NUM_ROWS: rows._replace(value=rows.value + other[_NUM_ROWS].value),
        _ROW_GROUPS: first[_ROW_GROUPS]._replace(value=both),
    }


def _number(footer: dict[int, _Value]) -> None:
    """Give the row groups new numbers, where they have any."""
    for ordinal, group in enumerate(footer[_ROW_GROUPS].value.values):
        if known := group.get(_ORDINAL):
            group[_ORDINAL] = known._replace(value=ordinal)


def _copy(file: BinaryIO, output: Output, begin: int, end: int) -> None:
    file.seek(begin)
    for at in range(begin, end, _CHUNK_BYTES):
        output.write(file.read(min(_CHUNK_BYTES, end - at)))


def _read_struct(protocol: TCompactProtocol) -> dict[int, _Value]:
    fields: dict[int, _Value] = {}
    protocol.readStructBegin()
    while True:
        _, kind, number = protocol.readFieldBegin()
        if kind == TType.STOP:
            break
        fields[number] = _Value(kind, _read(protocol, kind))
        protocol.readFieldEnd()
    protocol.readStructEnd()
    return fields


def _read(protocol: TCompactProtocol, kind: int) -> Any:  # noqa: ANN401  a tree of whatever the footer holds
    if kind == TType.STRUCT:
        return _read_struct(protocol)
    if kind == TType.LIST:
        element, size = protocol.readListBegin()
        values = [_read(protocol, element) for _ in range(size)]
        protocol.readListEnd()
        return _List(element, values)
    return getattr(protocol, f"read{_PLAIN[kind]}")()


def _encode(footer: dict[int, _Value]) -> bytes:
    buffer = TMemoryBuffer()
    _write_struct(TCompactProtocol(buffer), footer)
    encoded: bytes = buffer.getvalue()
    return encoded


def _write_struct(protocol: TCompactProtocol, fields: dict[int, _Value]) -> None:
    protocol.writeStructBegin("")
    for number, (kind, value) in fields.items():
        protocol.writeFieldBegin("", kind, number)
        _write(protocol, kind, value)
        protocol.writeFieldEnd()
    protocol.writeFieldStop()
    protocol.writeStructEnd()


def _write(protocol: TCompactProtocol, kind: int, value: Any) -> None:  # noqa: ANN401
    if kind == TType.STRUCT:
        _write_struct(protocol, value)
    elif kind == TType.LIST:
        protocol.writeListBegin(value.type, len(value.values))
        for element in value.values:
            _write(protocol, value.type, element)
        protocol.writeListEnd()
    else:
        getattr(protocol, f"write{_PLAIN[kind]}")(value)


_PLAIN = {
    TType.BOOL: "Bool",
    TType.BYTE: "Byte",
    TType.I16: "I16",
    TType.I32: "I32",
    TType.I64: "I64",
    TType.DOUBLE: "Double",
    TType.STRING: "Binary",
}
"""What the protocol's methods call the types that hold nothing else. Text stays bytes. Footers have no maps or sets."""
