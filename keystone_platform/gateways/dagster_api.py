"""Dagster's GraphQL API, as far as Keystone's own commands use it: what the UI's "Materialize" button does."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import httpx

from keystone_platform.errors import Terminal, Transient
from keystone_platform.gateways.clock import Clock, SystemClock

PLATFORM_LOCATION = "keystone_platform"
"""Code location of topics and routers, as workspace.yaml names it."""

WAREHOUSE_LOCATION = "assets"
"""Code location of landed and compacted hours."""

PARTITION_TAG = "dagster/partition"

_POLL_S = 1.0

_LOCATIONS = """
query Locations { workspaceOrError { __typename
  ... on Workspace { locationEntries { name loadStatus locationOrLoadError { __typename
    ... on PythonError { message } } } }
  ... on PythonError { message } } }
"""

_LAUNCH = """
mutation Launch($params: ExecutionParams!) { launchRun(executionParams: $params) { __typename
  ... on LaunchRunSuccess { run { id } }
  ... on PythonError { message }
  ... on PipelineNotFoundError { message }
  ... on InvalidSubsetError { message }
  ... on RunConfigValidationInvalid { errors { message } } } }
"""

_RUN = """
query Run($id: ID!) { runOrError(runId: $id) { __typename
  ... on Run { status }
  ... on RunNotFoundError { message }
  ... on PythonError { message } } }
"""

_FAILURES = """
query Failures($id: ID!) { logsForRun(runId: $id) { __typename
  ... on EventConnection { events { __typename
    ... on ExecutionStepFailureEvent { failureMetadata { description } error { message } }
    ... on RunFailureEvent { message error { message } } } } } }
"""

_RELOAD = """
mutation Reload($name: String!) { reloadRepositoryLocation(repositoryLocationName: $name) { __typename } }
"""


class RunStatus(StrEnum):
    """A run's status, as far as somebody who waits for it cares."""

    UNFINISHED = "UNFINISHED"
    SUCCESS = "SUCCESS"
    FAILURE = "FAILURE"
    CANCELED = "CANCELED"


@dataclass(frozen=True)
class Location:
    """A code location; `error` is why it could not be loaded, empty when it was."""

    name: str
    loaded: bool
    error: str = ""


class DagsterApi:
    """A Dagster webserver. Each call blocks for one request; raises Transient when it does not answer."""

    def __init__(self, url: str, *, clock: Clock | None = None, timeout_s: float = 60.0) -> None:
        self.url = url.rstrip("/")
        self._clock = clock or SystemClock()
        self._http = httpx.Client(timeout=timeout_s)

    def locations(self) -> tuple[Location, ...]:
        """Return the workspace's code locations."""
        entries = self._query(_LOCATIONS, {})["workspaceOrError"]["locationEntries"]
        return tuple(_location(entry) for entry in entries)

    def reload(self, location: str) -> None:
        """Let Dagster read the code location anew, and with it the stream YAMLs; blocks until it has."""
        self._query(_RELOAD, {"name": location})

    def launch_assets(self, location: str, keys: Sequence[Sequence[str]], partition: str | None = None) -> str:
        """Launch one run that materialises these assets, and return its id.

        Raises:
            Terminal: Dagster refused: no such asset or location.
        """
        tags = [{"key": PARTITION_TAG, "value": partition}] if partition else []
        selector = {
            "repositoryLocationName": location,
            "repositoryName": "__repository__",
            "jobName": "__ASSET_JOB",
            "assetSelection": [{"path": list(key)} for key in keys],
            "assetCheckSelection": None,
        }
        params = {"selector": selector, "mode": "default", "runConfigData": {}, "executionMetadata": {"tags": tags}}
        answer = self._query(_LAUNCH, {"params": params})["launchRun"]
        if answer["__typename"] != "LaunchRunSuccess":
            reason = answer.get("message") or "; ".join(error["message"] for error in answer.get("errors", []))
            message = f"Dagster did not launch a run in {location}: {answer['__typename']} {reason}".strip()
            raise Terminal(message, mend=f"Is the location loaded? See {self.url}/locations.")
        run_id: str = answer["run"]["id"]
        return run_id

    def run_status(self, run_id: str) -> RunStatus:
        """Return the run's status."""
        answer = self._query(_RUN, {"id": run_id})["runOrError"]
        if answer["__typename"] != "Run":
            message = f"Dagster does not know run {run_id}"
            raise Terminal(message)
        known = {status.value for status in RunStatus}
        return RunStatus(answer["status"]) if answer["status"] in known else RunStatus.UNFINISHED

    def failures(self, run_id: str) -> tuple[str, ...]:
        """Return what the run says of its failure, each sentence once, in order."""
        events = self._query(_FAILURES, {"id": run_id})["logsForRun"].get("events", [])
        said = tuple(dict.fromkeys(text for event in events if (text := _failure(event))))
        return tuple(text for text in said if not any(text != other and other in text for other in said))

    def wait(self, run_id: str, timeout_s: float) -> RunStatus:
        """Block until the run has ended, and return how; raises Transient if it has not within `timeout_s`."""
        deadline = self._clock.now().timestamp() + timeout_s
        while self._clock.now().timestamp() < deadline:
            status = self.run_status(run_id)
            if status is not RunStatus.UNFINISHED:
                return status
            self._clock.sleep(_POLL_S)
        message = f"run {run_id} has not ended within {timeout_s:.0f} s"
        raise Transient(message, mend=f"Look at {self.run_url(run_id)}.")

    def run_url(self, run_id: str) -> str:
        """Return the page of the run."""
        return f"{self.url}/runs/{run_id}"

    def _query(self, text: str, variables: dict[str, Any]) -> dict[str, Any]:
        try:
            response = self._http.post(f"{self.url}/graphql", json={"query": text, "variables": variables})
            response.raise_for_status()
        except httpx.HTTPError as error:
            message = f"Dagster at {self.url} does not answer ({type(error).__name__})"
            raise Transient(message, mend="Is the webserver up? `keystone status` tells.") from error
        body = response.json()
        if body.get("errors"):
            message = f"Dagster refused a query: {body['errors'][0]['message']}"
            raise Terminal(message)
        data: dict[str, Any] = body["data"]
        return data


def _location(entry: dict[str, Any]) -> Location:
    loaded = entry["locationOrLoadError"] or {"__typename": "Loading"}
    if loaded["__typename"] == "PythonError":
        return Location(entry["name"], loaded=False, error=loaded["message"])
    return Location(entry["name"], loaded=loaded["__typename"] == "RepositoryLocation")


def _failure(event: dict[str, Any]) -> str:
    description = (event.get("failureMetadata") or {}).get("description")
    error = (event.get("error") or {}).get("message")
    return str(description or error or "").strip()
