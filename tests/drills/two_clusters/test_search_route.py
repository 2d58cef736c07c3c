"""A search route of two clusters: each event is a document once, whichever cluster was killed."""

from __future__ import annotations

import time

import pytest

from keystone_platform.audit.truth import RouteTruth, audit_route
from keystone_platform.gateways.search import OpenSearch
from tests.drills.two_clusters.twins import Twins
from tests.e2e.platform import Platform, wait_for

pytestmark = [pytest.mark.drill, pytest.mark.timeout(1200)]

STREAM = "sighted"
ROUTE = f"{STREAM}.search"

YAML = """\
stream: sighted
owner: team:tests
partitions: 2
schema: {n: bigint, country: string, padding: string}
routes:
  - sink: {search: {index: "sighted-{date}"}}
    select: [n, country]
    checkpoint_interval_s: 3
"""

AWAY_S = 60


def test_events_of_both_clusters_are_indexed_once_though_the_primary_was_killed(platform: Platform) -> None:
    twins = Twins(platform, STREAM, ROUTE)
    twins.begin(YAML)
    twins.send_both()
    await_indexed(twins, "both clusters")

    twins.send_both()
    twins.kill_primary()
    twins.send(twins.standby_topic)
    await_documents(twins, "primary killed", missing=300)
    time.sleep(AWAY_S)
    twins.send(twins.standby_topic)
    await_documents(twins, f"primary away for {AWAY_S} s", missing=300)
    print(f"{twins.restarts()} restarts")
    assert twins.restarts() == 0

    twins.start_all()
    twins.send_both()
    truth = await_indexed(twins, "primary back")
    assert (truth.produced, truth.landed) == (twins.sent, twins.sent)
    twins.end()


def documents(twins: Twins) -> int:
    """Count the documents of both clusters' events that can be searched."""
    cluster = OpenSearch(twins.platform.settings.search)
    return sum(len(page) for page in cluster.places(f"{STREAM}-*", [STREAM, twins.standby_topic]))


def await_documents(twins: Twins, what: str, *, missing: int) -> None:
    """Wait for all but the events that the primary may have died with."""
    began = time.monotonic()
    wait_for("events of the standby", lambda: documents(twins) >= twins.sent - missing, 120)
    print(
        f"{what}: {documents(twins)} of {twins.sent} documents, {time.monotonic() - began:.1f} s after the last event"
    )


def await_indexed(twins: Twins, what: str) -> RouteTruth:
    began = time.monotonic()

    def whole() -> RouteTruth | None:
        truth = audit_route(twins.platform.settings, twins.platform.plan(ROUTE))
        return truth if not truth.lost and truth.produced >= twins.sent else None

    truth = wait_for("each event in the index", whole, 180)
    print(f"{what}: {truth} {time.monotonic() - began:.1f} s after the last event")
    assert truth.is_exact, truth
    return truth
