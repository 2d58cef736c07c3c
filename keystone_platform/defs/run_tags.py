"""Tags of the runs that the health sensor asks for."""

from __future__ import annotations

from datetime import timedelta

from dagster._core.storage.tags import MAX_RUNTIME_SECONDS_TAG

from keystone_platform.defs import keys

RUN_AT_MOST = timedelta(minutes=10)
"""A run that takes longer counts as dead: Dagster does not see it when a run dies together with its code server."""

RUN_AT_MOST_PER_ROUTE = timedelta(seconds=5)


def healing_tags(routes: int) -> dict[str, str]:
    """Return the tags of a run for so many routes; one that died unseen must not keep them from being asked for."""
    longest = RUN_AT_MOST + RUN_AT_MOST_PER_ROUTE * routes
    return {keys.HEALING_TAG: "true", MAX_RUNTIME_SECONDS_TAG: str(int(longest.total_seconds()))}


def healing_tags_of(route: str) -> dict[str, str]:
    """Return the same for a run that selects no asset: the route that it acts on is a tag."""
    return healing_tags(1) | {keys.ROUTE_TAG: route}
