"""A table's file access that fetches a manifest once: a commit that competes with others reads them over and over."""

from __future__ import annotations

import io

from pyiceberg.io import FileIO, InputFile, InputStream, OutputFile

MANIFESTS = ".avro"
"""Manifests and lists of them; no file of these is ever changed."""


class RememberingIO(FileIO):
    """Keeps the bytes of each manifest that was read; everything else goes to the file access that it is around."""

    def __init__(self, around: FileIO, known: dict[str, bytes]) -> None:
        super().__init__(around.properties)
        self._around = around
        self._known = known

    def new_input(self, location: str) -> InputFile:
        if not location.endswith(MANIFESTS):
            return self._around.new_input(location)
        if location not in self._known:
            with self._around.new_input(location).open() as stream:
                self._known[location] = stream.read()
        return _Kept(location, self._known[location])

    def new_output(self, location: str) -> OutputFile:
        return self._around.new_output(location)

    def delete(self, location: str | InputFile | OutputFile) -> None:
        self._around.delete(location)


class _Kept(InputFile):
    def __init__(self, location: str, content: bytes) -> None:
        super().__init__(location)
        self._content = content

    def __len__(self) -> int:
        return len(self._content)

    def exists(self) -> bool:
        return True

    def open(self, seekable: bool = True) -> InputStream:
        return io.BytesIO(self._content)
