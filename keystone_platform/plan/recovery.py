"""Which of the savepoints and checkpoints that a deployment left behind its successor starts from."""

from __future__ import annotations

import struct
from collections.abc import Iterable
from dataclasses import dataclass

_MAGIC = 0x4960672D
"""First four bytes of Flink's `_metadata` (org.apache.flink.runtime.checkpoint.Checkpoints, HEADER_MAGIC_NUMBER)."""

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
