"""Multipart uploads that a writer began in a table's folders and never ended: S3 keeps and bills their parts."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from assets.upkeep.places import Places
from assets.upkeep.report import Removal, removal
from keystone_platform.gateways.objects import ObjectStore, Upload


def find_uploads(where: Places, objects: ObjectStore, border: datetime) -> tuple[Upload, ...]:
    """Return the unfinished uploads into these folders that were begun before the border."""
    return tuple(each for prefix in where.folders for each in objects.uploads(prefix) if each.started < border)


def removals(uploads: Iterable[Upload]) -> tuple[Removal, ...]:
    """Return what goes; nobody tells the bytes of the parts."""
    return (removal("uploads", [(each.started, 0) for each in uploads]),)
