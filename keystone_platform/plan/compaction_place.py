"""Where a compaction runs."""

from __future__ import annotations

from enum import StrEnum


class Place(StrEnum):
    """Where a compaction runs; AUTO: by what there is to rewrite."""

    AUTO = "auto"
    HERE = "here"
    FLINK = "flink"
