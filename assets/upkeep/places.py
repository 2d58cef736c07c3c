"""Where a table's files are: URIs compared, and tables that are in each other's place. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import islice

DATA_PATH = "write.data.path"
METADATA_PATH = "write.metadata.path"
"""Properties that put a table's files elsewhere than below its location."""


def key_of(uri: str) -> str:
    """Return what names an object within its store, without scheme and bucket: `a/b` of `s3a://bucket/a/b`.

    Two URIs with the same key are taken for the same object, so one that is referred to under another scheme or bucket
    name stays.
    """
    _, colon, rest = uri.partition(":")
    if not colon:
        return uri.lstrip("/")
    if not rest.startswith("//"):
        return rest.lstrip("/")
    return rest[2:].partition("/")[2].lstrip("/")


def folder(uri: str) -> str:
    """Return the URI ending in one slash: what all objects below it begin with."""
    return uri.rstrip("/") + "/"


@dataclass(frozen=True)
class Places:
    """The folders that a table's files are in, each ending in a slash; none is within another."""

    folders: tuple[str, ...]


def places(location: str, properties: Mapping[str, str]) -> Places:
    """Return where a table with this location and these properties keeps its files."""
    found: list[str] = []
    for uri in (location, properties.get(DATA_PATH), properties.get(METADATA_PATH)):
        if uri and not any(folder(uri).startswith(known) for known in found):
            found.append(folder(uri))
    return Places(tuple(found))


def neighbours(known: Mapping[str, Places]) -> Mapping[str, tuple[str, ...]]:
    """Return, of each table that there are any of, the others in whose folders its files may be, or theirs in its."""
    order = sorted((key_of(place), name) for name, where in known.items() for place in where.folders)
    found: dict[str, set[str]] = {}
    for number, (place, name) in enumerate(order):
        for inner, other in islice(order, number + 1, None):
            if not inner.startswith(place):  # whatever begins with a folder follows it at once
                break
            if other != name:
                found.setdefault(name, set()).add(other)
                found.setdefault(other, set()).add(name)
    return {name: tuple(sorted(others)) for name, others in found.items()}
