"""Remembers each stream file as it was when it was last valid.

A file that somebody breaks must not take its stream out of sight: what runs of it has to be watched and redeployed as
before, until the file is mended. So Dagster's definitions are built from the last good form, and the error is told.
"""

from __future__ import annotations

import contextlib
import os
from dataclasses import replace
from pathlib import Path

from keystone_platform.spec.cluster_file import read_clusters
from keystone_platform.spec.clusters import Clusters, clusters_file
from keystone_platform.spec.fleet import Fleet, LoadedStream
from keystone_platform.spec.loader import load_streams_leniently

CLUSTERS_COPY = ".clusters.yaml"
"""Where among the remembered files the clusters are; hidden, so it is no stream file."""


def load_or_remember(folder: Path, memory: Path) -> Fleet:
    """Read the stream files; a stream whose file is wrong now is there as its file was when it was last valid.

    Copies of valid files are kept in `memory`, which is made if need be; a file that is removed from `folder` is
    forgotten. Where nothing can be written, nothing is remembered. `Fleet.errors` holds what is wrong now.
    """
    fleet = _with_clusters(folder, memory)
    good = {stream.file.name for stream in fleet.streams}
    broken = {Path(error.file).name for error in fleet.errors}
    remembered = _remembered(fleet, folder, memory, broken - good)
    with contextlib.suppress(OSError):
        _remember(folder, memory, good, broken)
    return replace(fleet, streams=tuple(sorted((*fleet.streams, *remembered), key=lambda stream: stream.file.name)))


def _with_clusters(folder: Path, memory: Path) -> Fleet:
    """Read the stream files; while the file of clusters is wrong, with the clusters of when it was last valid."""
    copy, file = memory / CLUSTERS_COPY, clusters_file(folder)
    clusters, wrong = read_clusters(file)
    if clusters is not None:
        with contextlib.suppress(OSError):
            _remember_clusters(file, copy)
        return load_streams_leniently(folder, clusters)
    known, _ = read_clusters(copy if copy.is_file() else None)
    fleet = load_streams_leniently(folder, known or Clusters.alone())
    return replace(fleet, errors=(*wrong, *fleet.errors))


def _remember_clusters(file: Path | None, copy: Path) -> None:
    if file is None:
        copy.unlink(missing_ok=True)
        return
    content = file.read_bytes()
    if not copy.is_file() or copy.read_bytes() != content:
        copy.parent.mkdir(parents=True, exist_ok=True)
        written = copy.with_name(f"{copy.name}.{os.getpid()}")
        written.write_bytes(content)
        written.replace(copy)


def _remembered(fleet: Fleet, folder: Path, memory: Path, broken: set[str]) -> list[LoadedStream]:
    if not broken or not memory.is_dir():
        return []
    taken = {name for stream in fleet.streams for name in _names(stream)}
    old = (s for s in load_streams_leniently(memory, fleet.clusters).streams if s.file.name in broken)
    return [_as_in(folder, stream) for stream in old if taken.isdisjoint(_names(stream))]


def _names(stream: LoadedStream) -> set[str]:
    """Return what no two streams may share: name, topic, tables, indexes."""
    sinks = [route.sink for route in stream.spec.routes]
    tables = {f"table {sink.warehouse.table}" for sink in sinks if sink.warehouse}
    indexes = {f"index {sink.search.index}" for sink in sinks if sink.search}
    return {f"stream {stream.spec.stream}", f"topic {stream.spec.topic_name}"} | tables | indexes


def _as_in(folder: Path, stream: LoadedStream) -> LoadedStream:
    """Return the stream with the place that people edit, not that of the copy."""
    file = folder / stream.file.name
    return replace(stream, file=file, routes=tuple(replace(route, file=file) for route in stream.routes))


def _remember(folder: Path, memory: Path, good: set[str], broken: set[str]) -> None:
    memory.mkdir(parents=True, exist_ok=True)
    for name in good:
        content, copy = (folder / name).read_bytes(), memory / name
        if not copy.is_file() or copy.read_bytes() != content:
            written = memory / f".{name}.{os.getpid()}"
            written.write_bytes(content)
            written.replace(copy)
    for copy in memory.iterdir():
        if copy.name not in good | broken and not copy.name.startswith("."):
            copy.unlink(missing_ok=True)
