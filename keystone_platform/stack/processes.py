"""Finds the processes of a home by the mark in their environment, never by name and never by a bare pid."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import psutil

from keystone_platform.stack.home import SERVER_VARIABLE, STACK_VARIABLE


@dataclass(frozen=True)
class MarkedProcess:
    """A process that carries a stack's mark.

    Attributes:
        server: the server that it belongs to; empty for the supervisor itself.
    """

    process: psutil.Process
    server: str


def marked_processes(mark: str) -> tuple[MarkedProcess, ...]:
    """Return every living process that `up` of that mark started and their children, but not the caller's own line."""
    mine = {process.pid for process in (psutil.Process(), *psutil.Process().parents())}
    return tuple(found for found in _marked(mark) if found.process.pid not in mine)


def _marked(mark: str) -> Iterator[MarkedProcess]:
    for process in psutil.process_iter():
        try:
            environment = process.environ()
            alive = process.status() != psutil.STATUS_ZOMBIE
        except psutil.Error:  # ended meanwhile, or somebody else's, whose environment is hidden
            continue
        if alive and environment.get(STACK_VARIABLE) == mark:
            yield MarkedProcess(process, environment.get(SERVER_VARIABLE, ""))


def end_processes(mark: str, patience_s: float) -> int:
    """End every process of that mark: SIGTERM, and SIGKILL after `patience_s`; return how many there were.

    Blocks until none is left, children that were born meanwhile included.
    """
    ended = set()
    stubborn = False
    while found := [marked.process for marked in marked_processes(mark)]:
        for process in found:
            ended.add(process.pid)
            try:
                process.kill() if stubborn else process.terminate()
            except psutil.Error:
                continue
        psutil.wait_procs(found, timeout=patience_s)
        stubborn = True
    return len(ended)


def resident_bytes(processes: list[psutil.Process]) -> int:
    """Return the resident memory of the processes that still live; shared pages count once per process."""
    total = 0
    for process in processes:
        try:
            total += process.memory_info().rss
        except psutil.Error:
            continue
    return total
