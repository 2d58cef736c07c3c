"""What the stack's own Dagster did: ticks of the health sensor, the runs that it asked for, what it told of routers."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import httpx

from keystone_platform.defs.keys import HEALING_TAG, RUNNING_CHECK, router_key
from keystone_platform.gateways.dagster_api import PLATFORM_LOCATION

SENSOR = {
    "repositoryLocationName": PLATFORM_LOCATION,
    "repositoryName": "__repository__",
    "sensorName": "router_health",
}

_TICKS = """
query Ticks($sensor: SensorSelector!) { sensorOrError(sensorSelector: $sensor) { ... on Sensor { sensorState {
  ticks(limit: 60) { status timestamp endTimestamp skipReason runIds error { message } } } } } }
"""

_WIPE = """
mutation Wipe($sensor: SensorSelector!) { setSensorCursor(sensorSelector: $sensor) { __typename } }
"""

_RUNS = """
query Runs($tags: [ExecutionTag!]) { runsOrError(filter: {tags: $tags}, limit: 60) { ... on Runs { results {
  runId jobName status creationTime startTime endTime } } } }
"""

_CHECKS = """
query Checks($key: AssetKeyInput!, $name: String!) {
  assetCheckExecutions(assetKey: $key, checkName: $name, limit: 60) {
    evaluation { timestamp success severity description } } }
"""


@dataclass(frozen=True)
class Tick:
    """One evaluation of the sensor; times are seconds since the epoch.

    Attributes:
        failed: what was raised; empty when nothing was.
        skipped: why it asked for nothing, where it says so.
    """

    status: str
    began: float
    ended: float | None
    skipped: str
    failed: str
    runs: tuple[str, ...]


@dataclass(frozen=True)
class Run:
    """A run that the sensor asked for."""

    run_id: str
    job: str
    status: str
    created: float
    started: float | None
    ended: float | None


@dataclass(frozen=True)
class Check:
    """A verdict on a router's health in the event log."""

    at: float
    passed: bool
    severity: str
    text: str


class DagsterWatch:
    """Asks the webserver."""

    def __init__(self, url: str) -> None:
        self._url = url

    def ticks(self, since: float) -> list[Tick]:
        """Return the ticks that began then or later, oldest first."""
        found = self._ask(_TICKS, sensor=SENSOR)["sensorOrError"]["sensorState"]["ticks"]
        ticks = [
            Tick(
                each["status"],
                each["timestamp"],
                each["endTimestamp"],
                each["skipReason"] or "",
                (each["error"] or {}).get("message", ""),
                tuple(each["runIds"]),
            )
            for each in found
        ]
        return sorted((tick for tick in ticks if tick.began >= since), key=lambda tick: tick.began)

    def runs(self, since: float) -> list[Run]:
        """Return the runs that the sensor has asked for since, oldest first."""
        found = self._ask(_RUNS, tags=[{"key": HEALING_TAG, "value": "true"}])["runsOrError"]["results"]
        runs = [
            Run(
                each["runId"],
                each["jobName"],
                each["status"],
                each["creationTime"],
                each["startTime"],
                each["endTime"],
            )
            for each in found
        ]
        return sorted((run for run in runs if run.created >= since), key=lambda run: run.created)

    def checks(self, route: str, since: float) -> list[Check]:
        """Return what was said of the router's health since, oldest first."""
        key = {"path": list(router_key(route).path)}
        found = self._ask(_CHECKS, key=key, name=RUNNING_CHECK)["assetCheckExecutions"]
        told = [each["evaluation"] for each in found if each["evaluation"]]
        checks = [Check(each["timestamp"], each["success"], each["severity"], each["description"]) for each in told]
        return sorted((check for check in checks if check.at >= since), key=lambda check: check.at)

    def wipe_cursor(self) -> None:
        """Let the sensor forget everything."""
        self._ask(_WIPE, sensor=SENSOR)

    def _ask(self, query: str, **variables: object) -> dict[str, Any]:
        answer = httpx.post(f"{self._url}/graphql", json={"query": query, "variables": variables}, timeout=30)
        body = answer.raise_for_status().json()
        assert "errors" not in body, json.dumps(body["errors"])[:500]
        data: dict[str, Any] = body["data"]
        return data
