"""Which files the snapshots of a table reach: manifest lists, manifests, data files.

Of each Avro file only the few fields that are needed are decoded, so that a hundred thousand data files are a hundred
thousand paths in memory, and never their statistics.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import Any, TypeVar

from pyiceberg.avro.file import AvroFile
from pyiceberg.avro.reader import Reader
from pyiceberg.avro.resolver import ReadSchemaResolver, SchemaPartnerAccessor
from pyiceberg.io import FileIO
from pyiceberg.manifest import ManifestEntryStatus
from pyiceberg.schema import Schema, visit_with_partner
from pyiceberg.typedef import Record, StructProtocol
from pyiceberg.types import IcebergType, IntegerType, LongType, NestedField, StringType, StructType

READERS = 8
"""Files that are read at once."""

_BATCH = 64
"""Files whose paths wait in memory to be looked at."""

Sized = tuple[str, int]
"""A file's URI and its bytes."""

# field ids are the Iceberg specification's
_LIST = Schema(
    NestedField(500, "manifest_path", StringType(), required=True),
    NestedField(501, "manifest_length", LongType(), required=True),
)
_MANIFEST = Schema(
    NestedField(0, "status", IntegerType(), required=True),
    NestedField(
        2,
        "data_file",
        StructType(
            NestedField(100, "file_path", StringType(), required=True),
            NestedField(104, "file_size_in_bytes", LongType(), required=True),
        ),
        required=True,
    ),
)

_RECORDS: dict[int, Callable[..., StructProtocol]] = {-1: Record, 2: Record}
"""What the file's structs are read into, by field id; -1 is the outermost."""

T = TypeVar("T")


def manifests_of(io: FileIO, lists: Iterable[str], *, may_be_gone: bool = False) -> Iterator[Sized]:
    """Yield the manifests of these manifest lists, each as often as it is in one.

    Args:
        io: reads the files.
        lists: URIs.
        may_be_gone: a list that is not there has no manifests; otherwise FileNotFoundError.
    """

    def read(path: str) -> list[Sized]:
        return [(record[0], record[1]) for record in _records(io, path, _LIST, may_be_gone=may_be_gone)]

    yield from _in_parallel(read, lists)


def live_files(io: FileIO, manifests: Iterable[str], *, may_be_gone: bool = False) -> Iterator[Sized]:
    """Yield the data and delete files that these manifests add or carry; what they record as removed is not theirs."""

    def read(path: str) -> list[Sized]:
        return [
            (record[1][0], record[1][1])
            for record in _records(io, path, _MANIFEST, may_be_gone=may_be_gone)
            if record[0] != ManifestEntryStatus.DELETED.value
        ]

    yield from _in_parallel(read, manifests)


class _Skipping(SchemaPartnerAccessor):
    """Lets whole lists, maps and structs of the file be skipped, which pyiceberg's own accessor takes for an error."""

    def field_partner(self, partner: IcebergType | None, field_id: int, field_name: str) -> IcebergType | None:
        return super().field_partner(partner, field_id, field_name) if partner else None

    def list_element_partner(self, partner_list: IcebergType | None) -> IcebergType | None:
        return super().list_element_partner(partner_list) if partner_list else None

    def map_key_partner(self, partner_map: IcebergType | None) -> IcebergType | None:
        return super().map_key_partner(partner_map) if partner_map else None

    def map_value_partner(self, partner_map: IcebergType | None) -> IcebergType | None:
        return super().map_value_partner(partner_map) if partner_map else None


def _reader(has: Schema, wanted: Schema) -> Reader:
    resolver: Any = ReadSchemaResolver(_RECORDS)  # pyiceberg's own type of visitors is narrower than what it calls
    reader: Reader = visit_with_partner(has, wanted, resolver, _Skipping())
    return reader


def _records(io: FileIO, path: str, schema: Schema, *, may_be_gone: bool) -> Iterator[Any]:
    try:
        with AvroFile[Record](io.new_input(path)) as file:
            file.reader = _reader(file.schema, schema)
            yield from file
    except FileNotFoundError:
        if not may_be_gone:
            raise


def _in_parallel(read: Callable[[str], list[T]], paths: Iterable[str]) -> Iterator[T]:
    """Yield what is read of each path; a batch of files at a time."""
    rest = iter(paths)
    with ThreadPoolExecutor(READERS) as readers:
        while batch := list(islice(rest, _BATCH)):
            for found in readers.map(read, batch):
                yield from found
