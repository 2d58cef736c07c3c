"""A compaction in a process of its own that kills itself at a crash point: `python -m … FOLDER POINT`."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from pathlib import Path

from pyiceberg.catalog.sql import SqlCatalog

from assets.compaction.compact import CRASH_POINTS, Choices, compact_hour
from assets.compaction.select import Policy
from keystone_platform.gateways.lake import IcebergLake
from tests.contract.lake_tables import TABLE, TEN, local_settings

SORTING, ANSWER_LOST = CRASH_POINTS[1], CRASH_POINTS[5]


def main() -> None:
    """Compact the hour in two groups, and die at the point in the second of them."""
    folder, point = Path(sys.argv[1]), sys.argv[2]
    lake = IcebergLake(local_settings(folder))
    seen: list[str] = []

    def reached(name: str) -> None:
        seen.append(name)
        if name == point and seen.count(name) == 2:
            if name == SORTING:  # the next thing is the sort itself
                threading.Thread(target=die_soon, daemon=True).start()
            else:
                die()

    if point == ANSWER_LOST:
        real = SqlCatalog.commit_table

        def commit(catalog: SqlCatalog, *arguments: object) -> object:
            response = real(catalog, *arguments)  # type: ignore[arg-type]
            if seen.count(CRASH_POINTS[4]) == 2:
                die()
            return response

        SqlCatalog.commit_table = commit  # type: ignore[assignment,method-assign]
    size = int(sys.argv[3])
    compact_hour(lake, TABLE, TEN, Policy(group_bytes=size, run_bytes=size // 2), choices=Choices(reached=reached))


def die() -> None:
    """End as a process does that is killed: nothing is cleaned up."""
    os.kill(os.getpid(), signal.SIGKILL)


def die_soon() -> None:
    time.sleep(0.02)
    die()


if __name__ == "__main__":
    main()
