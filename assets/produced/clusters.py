"""The check of which Kafka cluster a stream is sent to: during a failover it warns."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import dagster as dg

from assets import keys
from keystone_platform.plan.produced import ClusterUse
from keystone_platform.spec.fleet import LoadedStream

_WHY = {"sick": "because another cluster is sick", "order": "by order"}


def standby_of(stream: LoadedStream) -> str | None:
    """Return the name of the stream's standby cluster; None where it has none."""
    return next((route.clusters[1] for route in stream.routes), None)


def primary_check(stream: LoadedStream) -> dg.AssetCheckSpec:
    """Return the check of a stream that has a standby; the sensor evaluates it."""
    return dg.AssetCheckSpec(
        keys.USES_PRIMARY,
        asset=keys.produced_key(stream.spec.stream),
        description="Each service that was heard of lately sends the stream to its primary cluster "
        f"({stream.routes[0].clusters[0]}), not to {standby_of(stream)}.",
    )


def primary_result(stream: LoadedStream, uses: Sequence[ClusterUse]) -> dg.AssetCheckEvaluation:
    """Return the outcome of the check."""
    key = keys.produced_key(stream.spec.stream)
    return dg.AssetCheckEvaluation(asset_key=key, check_name=keys.USES_PRIMARY, **judged(stream, uses))


def judged(stream: LoadedStream, uses: Sequence[ClusterUse]) -> dict[str, Any]:
    """Return what an outcome of the check says, however it is reported."""
    primary = stream.routes[0].clusters[0]
    told = [f"{use.producers} to {use.cluster}{_because(use)}" for use in uses]
    return {
        "passed": all(use.cluster == primary for use in uses),
        "severity": dg.AssetCheckSeverity.WARN,
        "description": f"producers send {', '.join(told)}" if told else "no producer was heard of lately",
        "metadata": {keys.producers_key(name): count for name, count in _by_cluster(uses).items()},
    }


def _because(use: ClusterUse) -> str:
    return f" {_WHY[use.why]}" if use.why in _WHY else ""


def _by_cluster(uses: Sequence[ClusterUse]) -> dict[str, int]:
    found: dict[str, int] = {}
    for use in uses:
        found[use.cluster] = found.get(use.cluster, 0) + use.producers
    return found
