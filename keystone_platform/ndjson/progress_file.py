"""The small file that says how far each input was acknowledged, written before more is sent than it says."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from keystone_platform.errors import InvalidSpec
from keystone_platform.ndjson.lines import Place

VERSION = 1
HEAD_BYTES = 4096


@dataclass(frozen=True)
class Identity:
    """Which file it is: where it lies and how it begins. A file that grew is the same, one that was replaced is not.

    Attributes:
        head: SHA-256 of its first `head_bytes` bytes, at most HEAD_BYTES.
    """

    path: str
    device: int
    inode: int
    head: str
    head_bytes: int

    @classmethod
    def of(cls, name: str, head_bytes: int = HEAD_BYTES) -> Identity:
        """Return the identity of the file as it is now; OSError if it can't be read."""
        path = Path(name).absolute()
        with path.open("rb") as file:
            about = os.fstat(file.fileno())
            head = file.read(head_bytes)
        return cls(str(path), about.st_dev, about.st_ino, hashlib.sha256(head).hexdigest(), len(head))

    def is_now(self, name: str) -> bool:
        """Whether the file of that name is this one: it begins like it, and lies in the same place or is the same."""
        now = Identity.of(name, self.head_bytes)
        is_there = now.path == self.path or (now.device, now.inode) == (self.device, self.inode)
        return is_there and now.head == self.head and now.head_bytes == self.head_bytes


@dataclass(frozen=True)
class Reached:
    """How far a file was sent.

    Attributes:
        acknowledged: everything before it has an outcome that sending again would not change.
        announced: lines that may have been sent, this many from the beginning of the file.
        switched_double: lines before the acknowledged place that may be on two clusters, of a run that has not told it.
    """

    identity: Identity
    acknowledged: Place
    announced: int
    switched_double: int = 0

    @property
    def maybe_double(self) -> int:
        """Lines that may be there twice if the file is sent on from the acknowledged place."""
        return max(0, self.announced - self.acknowledged.line) + self.switched_double


class ProgressFile:
    """Keeps what was reached of each input of a stream. One process at a time may use it.

    Args:
        file: is made when it is first written to.

    Raises:
        InvalidSpec: there is something else at that place, or it is another stream's.
    """

    def __init__(self, file: Path, stream: str) -> None:
        self._file = file
        self._stream = stream
        self._reached: list[Reached] = list(_read(file, stream)) if file.exists() else []

    def find(self, name: str) -> Reached | None:
        """Return what was reached of that file, None if it is not known.

        Raises:
            InvalidSpec: it is shorter than what was acknowledged of it, or can't be read.
        """
        try:
            found = next((each for each in self._reached if each.identity.is_now(name)), None)
            size = Path(name).stat().st_size
        except OSError as error:
            message = f"can't be read: {error.strerror}"
            raise InvalidSpec(message, file=name, mend="Name a file.") from error
        if found and not name.endswith(".gz") and size < found.acknowledged.byte:
            message = f"has {size:,} bytes, and {found.acknowledged.byte:,} of it were sent already: it was cut"
            raise InvalidSpec(message, file=name, mend=f"Remove {self._file} to send it from its beginning.")
        return found

    def note(self, name: str, acknowledged: Place, announced: int, switched_double: int = 0) -> None:
        """Write what was reached of that file; durable when it returns (some milliseconds).

        Raises:
            OSError: it can't be written.
        """
        at = next((number for number, each in enumerate(self._reached) if each.identity.is_now(name)), None)
        if at is None:
            self._reached.append(Reached(Identity.of(name), acknowledged, announced, switched_double))
        else:
            self._reached[at] = Reached(self._reached[at].identity, acknowledged, announced, switched_double)
        document = {"version": VERSION, "stream": self._stream, "files": [asdict(each) for each in self._reached]}
        fresh = self._file.with_name(f".{self._file.name}.{os.getpid()}")
        with fresh.open("w", encoding="utf-8") as file:
            json.dump(document, file, indent=1)
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(self._file)


def _read(file: Path, stream: str) -> list[Reached]:
    mend = "Name the file that an earlier run wrote, or one that does not exist yet."
    try:
        document = json.loads(file.read_text(encoding="utf-8"))
        if document["version"] != VERSION or document["stream"] != stream:
            message = f"is of version {document['version']} and stream {document['stream']!r}, not of {stream!r}"
            raise InvalidSpec(message, file=str(file), mend=mend)
        return [_reached(each) for each in document["files"]]
    except OSError as error:
        message = f"can't be read: {error.strerror}"
        raise InvalidSpec(message, file=str(file), mend=mend) from error
    except (ValueError, KeyError, TypeError) as error:
        message = f"is no file of --resume: {error!r}"
        raise InvalidSpec(message, file=str(file), mend=mend) from error


def _reached(value: Mapping[str, Any]) -> Reached:
    double = int(value.get("switched_double", 0))  # files of before there were two clusters have none
    return Reached(Identity(**value["identity"]), Place(**value["acknowledged"]), int(value["announced"]), double)
