"""The DuckDB session of a rewrite: bounded memory, a folder to spill into, the table's own object store."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import duckdb
from pyiceberg.table import Table

from keystone_platform.errors import Terminal, Transient, interruptible
from keystone_platform.query.session import bare_session, translated
from keystone_platform.settings import S3Settings

MAX_THREADS = 4
"""Each holds a row group; with more of them the memory would grow and object store and disk be the limit."""

MERGED_ROWS = 122_880
"""What DuckDB 1.5 keeps of a sort in memory for each thread that merges; measured to fail below about its bytes."""

BASE_BYTES = 128 * 1024 * 1024
"""Beside that: buffers of reading and writing."""

FULL_BYTES = 256 * 1024 * 1024
"""A disk with less than this left is full: DuckDB writes blocks of up to some MB, several at a time."""


@dataclass(frozen=True)
class Room:
    """What a rewrite may use at once."""

    memory_bytes: int
    threads: int


def room_for(row_bytes: int, memory_bytes: int) -> Room:
    """Return as many threads as can sort rows of that size in that memory.

    One thread has to; so rows of more than about 4.9 KB get more than the default memory, 240 MB for each further KB.
    """
    merged = MERGED_ROWS * row_bytes
    threads = max(1, (memory_bytes - BASE_BYTES) // max(merged, 1))
    needed = BASE_BYTES + 2 * merged
    return Room(max(memory_bytes, needed), min(threads, MAX_THREADS, len(os.sched_getaffinity(0))))


@contextmanager
def rewrite_session(table: Table, room: Room, spill: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """Yield a session that reads and writes the table's files.

    Raises:
        Terminal: the spill folder's disk is full, or DuckDB can't do it in this memory; a file can't be read.
        Transient: the object store does not answer.
    """
    s3 = _s3(table)
    with closing(bare_session(s3)) as session, _told(table, s3, spill), interruptible(session):
        session.execute("SET memory_limit = ?", [f"{room.memory_bytes}B"])
        session.execute("SET temp_directory = ?", [str(spill / "duckdb")])
        session.execute("SET threads = ?", [room.threads])
        yield session


@contextmanager
def _told(table: Table, s3: S3Settings, spill: Path) -> Iterator[None]:
    name = ".".join(table.name())
    try:
        yield
    except duckdb.OutOfMemoryException as error:  # also of the folder, whose limit DuckDB takes from the disk's space
        raise _no_room(name, spill) from error
    except duckdb.HTTPException:
        with translated(s3):
            raise
    except duckdb.IOException as error:
        if shutil.disk_usage(spill).free < FULL_BYTES:
            raise _no_room(name, spill) from error
        message = f"reading or writing files of {name} failed: {_first_line(error)}"
        raise Transient(message, mend="It may have been replaced meanwhile; try again.") from error
    except duckdb.Error as error:
        message = f"files of {name} can't be rewritten: {_first_line(error)}"
        raise Terminal(message, mend="Nothing was changed; `keystone audit` tells what the hour holds.") from error


def _no_room(name: str, spill: Path) -> Terminal:
    free = shutil.disk_usage(spill).free
    message = f"sorting files of {name} needs more than its memory and the {free / 1e9:.1f} GB free in {spill.parent}"
    return Terminal(message, mend="Free space there, name another folder in TMPDIR, or compact on Flink: --on flink.")


def _s3(table: Table) -> S3Settings:
    """Return the object store as the catalog describes it to every client."""
    properties = table.io.properties
    return S3Settings(
        endpoint=properties.get("s3.endpoint", "https://s3.amazonaws.com"),
        access_key_id=properties.get("s3.access-key-id", ""),
        secret_access_key=properties.get("s3.secret-access-key", ""),
        region=properties.get("s3.region", "us-east-1"),
        path_style=properties.get("s3.path-style-access", "true").lower() != "false",
    )


def _first_line(error: Exception) -> str:
    return str(error).strip().split("\n", 1)[0]
