"""A route of two clusters into a topic of the primary, exactly once: it waits while the primary is away."""

from __future__ import annotations

import time

import pytest

from keystone_platform.audit.truth import RouteTruth, audit_route
from keystone_platform.errors import Transient
from tests.drills.two_clusters.twins import Twins
from tests.e2e.platform import Platform, wait_for

pytestmark = [pytest.mark.drill, pytest.mark.timeout(1200)]

STREAM = "passed"
ROUTE = f"{STREAM}.onward"

YAML = """\
stream: passed
owner: team:tests
partitions: 2
schema: {n: bigint, country: string, padding: string}
routes:
  - name: onward
    sink: {kafka: {topic: passed.onward, delivery: exactly_once}}
    checkpoint_interval_s: 3
"""

AWAY_S = 60


def test_committed_records_of_the_sink_are_the_events_of_both_clusters_though_the_primary_was_killed(
    platform: Platform,
) -> None:
    twins = Twins(platform, STREAM, ROUTE)
    twins.begin(YAML)
    twins.send_both()
    print(f"both clusters: {settled(twins)}")

    twins.send_both()  # what is open in a transaction when the primary dies
    twins.kill_primary()
    twins.send(twins.standby_topic)
    time.sleep(AWAY_S)
    print(f"{AWAY_S} s without the primary: {twins.restarts()} restarts")
    twins.start_all()
    began = time.monotonic()
    truth = settled(twins, 300)
    print(f"exact {time.monotonic() - began:.1f} s after the primary was back, {twins.restarts()} restarts: {truth}")

    twins.send_both()
    truth = settled(twins)
    print(f"after that: {truth}")
    assert (truth.produced, truth.landed) == (twins.sent, twins.sent)
    twins.end()


def settled(twins: Twins, timeout_s: float = 120) -> RouteTruth:
    """Return the route's truth when nothing is missing any more; see that it is exact."""

    def whole() -> RouteTruth | None:
        try:
            truth = audit_route(twins.platform.settings, twins.platform.plan(ROUTE))
        except Transient:  # a broker is still on its way up
            return None
        return truth if not truth.lost and truth.produced >= twins.sent else None

    truth = wait_for("every event in the sink's topic", whole, timeout_s)
    assert truth.is_exact, truth
    return truth
