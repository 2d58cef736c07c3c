"""An object store over this machine's disk, for tables whose warehouse is a folder."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from keystone_platform.gateways.objects import StoredObject, Upload


def path_of(uri: str) -> Path:
    return Path(uri.removeprefix("file://").removeprefix("file:"))


def make_old(folder: Path, when: datetime) -> None:
    """Let every file below the folder have been written then."""
    for file in folder.rglob("*"):
        if file.is_file():
            os.utime(file, (when.timestamp(), when.timestamp()))


@dataclass
class FolderStore:
    """What upkeep uses of an ObjectStore; `before_delete` is called with each batch before it goes."""

    unfinished: list[Upload] = field(default_factory=list)
    before_delete: Callable[[list[str]], None] = lambda _: None

    def walk(self, prefix: str) -> Iterator[StoredObject]:
        for file in sorted(path_of(prefix).rglob("*")):
            if file.is_file():
                told = file.stat()
                yield StoredObject(f"file://{file}", told.st_size, datetime.fromtimestamp(told.st_mtime, UTC))

    def delete(self, uris: Iterable[str]) -> int:
        going = list(uris)
        self.before_delete(going)
        for uri in going:
            path_of(uri).unlink(missing_ok=True)
        return len(going)

    def uploads(self, prefix: str) -> tuple[Upload, ...]:
        return tuple(each for each in self.unfinished if each.uri.startswith(prefix))

    def abort(self, upload: Upload) -> None:
        self.unfinished.remove(upload)
