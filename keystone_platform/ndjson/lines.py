"""Lines of a file or of stdin, with their places; plain or gzip."""

from __future__ import annotations

import gzip
import sys
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, cast

from keystone_platform.errors import InvalidSpec

STDIN = "-"
_BUFFER = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Place:
    """How far one is in a file: so many whole lines, so many bytes (of a gzip file: of what is in it)."""

    line: int = 0
    byte: int = 0


@dataclass(frozen=True, slots=True)
class Line:
    """A line.

    Attributes:
        end: the place behind it; its number is `end.line`, from 1.
        text: without its end; None when it is longer than was asked for.
        is_cut: the file ends with it and without a newline: somebody may still be writing it.
    """

    end: Place
    text: bytes | None
    is_cut: bool = False


def open_lines(name: str, start: Place) -> BinaryIO:
    """Return the file, or stdin for `-`, at that place.

    Raises:
        InvalidSpec: it can't be read, is a folder, or is shorter than that.
    """
    if name == STDIN:
        return cast("BinaryIO", sys.stdin.buffer)
    try:
        is_gzip = Path(name).suffix == ".gz"
        file = gzip.open(name) if is_gzip else Path(name).open("rb", buffering=_BUFFER)  # noqa: SIM115 - the caller does
        if start.byte:
            file.seek(start.byte)
    except (OSError, EOFError, zlib.error) as error:
        message = f"can't be read: {getattr(error, 'strerror', None) or error}"
        raise InvalidSpec(message, file=name, mend="Name a file of one JSON event a line, or - for stdin.") from error
    return cast("BinaryIO", file)


def lines(file: BinaryIO, start: Place, longest: int) -> Iterator[Line]:
    """Yield the lines from `start` on, which the file is at. Holds one line, and of a longer one nothing.

    Raises:
        OSError, EOFError, zlib.error: the file can't be read on; a gzip file is cut off or broken.
    """
    number, at = start.line, start.byte
    while raw := file.readline(longest + 2):
        number += 1
        at += len(raw)
        is_long = len(raw.rstrip(b"\r\n")) > longest
        while len(raw) == longest + 2 and not raw.endswith(b"\n"):
            is_long = True
            raw = file.readline(longest + 2)
            at += len(raw)
        text = None if is_long else raw.rstrip(b"\r\n")
        yield Line(Place(number, at), text, is_cut=not raw.endswith(b"\n"))
