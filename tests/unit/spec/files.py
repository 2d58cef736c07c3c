"""Stream files for tests, written into a folder of the test."""

from __future__ import annotations

from pathlib import Path
from textwrap import dedent

from keystone_platform.errors import InvalidSpec
from keystone_platform.spec.loader import load_streams_leniently

MINIMAL = """\
stream: plays
owner: team:player
schema:
  user_id: bigint
  country: string
  device: {type: string, os: string}
routes:
  - sink: {warehouse: {table: events.plays}}
"""


def write(folder: Path, **files: str) -> Path:
    """Write each text as `<name>.yaml` and return the folder."""
    for name, text in files.items():
        (folder / f"{name}.yaml").write_text(dedent(text))
    return folder


def errors_of(folder: Path) -> tuple[InvalidSpec, ...]:
    """Return what is wrong in the folder's files."""
    return load_streams_leniently(folder).errors


def places(folder: Path) -> list[tuple[str, int, str]]:
    """Return (file name, line, field) of each error."""
    return [(Path(error.file).name, error.line, error.field) for error in errors_of(folder)]
