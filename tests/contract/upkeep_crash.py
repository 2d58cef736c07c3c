"""Upkeep that is killed at a point, in a process of its own."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

from pyiceberg.catalog.sql import SqlCatalog
from pyiceberg.table import Table

from keystone_platform.gateways.lake import IcebergLake
from tests.contract.folder_store import path_of
from tests.contract.lake_tables import local_settings
from tests.contract.upkeep_tables import World

AHEAD = timedelta(days=10)
KEEP_DAYS = 7

POINTS = (
    "retention: before its commit",
    "retention: metadata written, not committed",
    "retention: committed",
    "snapshots: before the commit",
    "snapshots: metadata written, not committed",
    "snapshots: committed, nothing deleted",
    "snapshots: half of the files deleted",
    "orphans: half of them deleted",
)


def die(*_: object, **__: object) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def half_then_die(going: list[str]) -> None:
    for uri in going[: len(going) // 2]:
        path_of(uri).unlink(missing_ok=True)
    die()


def prepare(world: World, point: str) -> None:
    """Arrange for the process to be killed at the point."""
    task, where = point.split(": ")
    if where in ("before its commit", "before the commit"):
        Table._do_commit = die  # type: ignore[method-assign]
    elif where == "metadata written, not committed":
        write = SqlCatalog._write_metadata
        SqlCatalog._write_metadata = staticmethod(_then_die(write))  # type: ignore[method-assign,assignment]
    elif where == "committed":
        commit = Table._do_commit
        Table._do_commit = _then_die(commit)  # type: ignore[method-assign,assignment]
    elif task in ("snapshots", "orphans"):
        world.store.before_delete = die if where == "committed, nothing deleted" else half_then_die


def _then_die(act: Callable[..., object]) -> Callable[..., None]:
    def both(*arguments: object, **named: object) -> None:
        act(*arguments, **named)
        die()

    return both


def upkeep_until(folder: Path, point: str) -> None:
    """Do the point's task; ends the process there."""
    world = World(folder, IcebergLake(local_settings(folder)), keep_days=KEEP_DAYS)
    world.clock.by = AHEAD
    prepare(world, point)
    world.upkeep(point.split(": ")[0])  # type: ignore[arg-type]
