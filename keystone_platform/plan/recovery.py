"""Where a deployment starts: at a savepoint or checkpoint that the one before left, or where its table ends."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

_MAGIC = 0x4960672D
"""First four bytes of Flink's `_metadata` (org.apache.flink.runtime.checkpoint.Checkpoints, HEADER_MAGIC_NUMBER)."""

NextOffsets = Mapping[str, Mapping[int, int]]
"""By topic and partition, the offset to go on with."""

OFFSETS_PREFIX = "offsets:"

METADATA_HEAD_BYTES = 16
"""What `checkpoint_id` needs of a `_metadata` file: magic and version (4 bytes each), checkpoint id (8)."""


@dataclass(frozen=True)
class RecoveryPoint:
    """A savepoint or checkpoint that a router can start from.

    Attributes:
        uri: S3 URI of its folder.
        checkpoint_id: counts checkpoints and savepoints together, so the highest is the newest.
    """

    uri: str
    checkpoint_id: int


def checkpoint_id(head: bytes) -> int | None:
    """Return the checkpoint id in the first bytes of a `_metadata` file; None if it is no such file."""
    if len(head) < METADATA_HEAD_BYTES:
        return None
    magic, _version, number = struct.unpack(">IIq", head[:METADATA_HEAD_BYTES])
    return number if magic == _MAGIC else None


def newest(points: Iterable[RecoveryPoint]) -> RecoveryPoint | None:
    """Return the newest point; None if there is none."""
    return max(points, key=lambda point: point.checkpoint_id, default=None)


def positions_text(offsets: NextOffsets) -> str:
    """Return offsets as one line, `topic:partition:offset;…` in order, as the routers' source reads them."""
    positions = [(topic, *place) for topic, mine in sorted(offsets.items()) for place in sorted(mine.items())]
    return ";".join(f"{topic}:{partition}:{offset}" for topic, partition, offset in positions)


def offsets_of_text(text: str) -> NextOffsets:
    """Return the offsets of such a line."""
    offsets: dict[str, dict[int, int]] = {}
    for position in text.split(";") if text else ():
        topic, partition, offset = position.split(":")
        offsets.setdefault(topic, {})[int(partition)] = int(offset)
    return offsets


def offsets_origin(offsets: NextOffsets) -> str:
    """Return what a deployment's `restore_from` says when it starts at these offsets."""
    return OFFSETS_PREFIX + positions_text(offsets)


def positions_of(origin: str | None) -> str | None:
    """Return the offsets' line of such a `restore_from`; None when it is a savepoint, a checkpoint or nothing."""
    return origin.removeprefix(OFFSETS_PREFIX) if origin and origin.startswith(OFFSETS_PREFIX) else None
