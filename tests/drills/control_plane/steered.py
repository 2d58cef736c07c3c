"""Two routes under load on a stack whose own Dagster watches them, and what a drill does to them."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from keystone_platform.errors import KeystoneError
from keystone_platform.gateways.ledger import SqlLedger
from keystone_platform.plan.deployment import Deployment
from keystone_platform.plan.observation import Job
from keystone_platform.settings import Settings
from keystone_platform.stack.embedded import EmbeddedStack
from tests.drills.control_plane.dagster_watch import DagsterWatch, Run
from tests.drills.load import Drilled, Load, Watch
from tests.e2e.platform import Platform, wait_for

WAREHOUSE, ONWARD = ROUTES = ("steered.warehouse", "steered.onward")
"""Exactly once into a table, at least once into a topic."""

HEALED_S = 300.0
"""How long a drill waits until a route runs again; each prints how long it took."""


def steered_yaml(select: str = "n, country", interval_s: int = 3) -> str:
    """Return the stream; another projection or interval of its table is an upgrade."""
    return f"""\
stream: steered
owner: team:tests
partitions: 2
schema: {{n: bigint, country: string, padding: string}}
routes:
  - sink: {{warehouse: {{table: tests.steered}}}}
    select: [{select}]
    checkpoint_interval_s: {interval_s}
  - name: onward
    sink: {{kafka: {{topic: steered.onward}}}}
    checkpoint_interval_s: 3
"""


@dataclass(frozen=True)
class Steered:
    """The stack, its load, its Dagster."""

    stack: EmbeddedStack
    platform: Platform
    load: Load
    dagster: DagsterWatch

    @contextmanager
    def drill(self, title: str) -> Iterator[Watch]:
        """See `Load.drill`; nothing may be twice in the table, and one job of each route runs at the end."""
        with self.load.drill(title) as watch:
            yield watch
        assert watch.truths[WAREHOUSE].is_exact
        for route in ROUTES:
            assert [job.job_id for job in self.jobs(route)] == [self.latest(route).job_id]

    def latest(self, route: str) -> Deployment:
        """Return the route's newest deployment, by the ledger that is there now."""
        return SqlLedger(self.platform.settings.ledger_url).latest()[route]

    def declare(self, text: str) -> None:
        self.platform.declare("steered", text)

    def jobs(self, route: str) -> list[Job]:
        """Return the route's jobs that have not ended, by name: also those that no ledger knows."""
        return [job for job in self.platform.gateways.flink.jobs() if job.name == route and not job.state.is_terminal]

    def runs_after(self, before: Deployment) -> Deployment:
        """Wait until a later deployment of the route runs with every subtask, and return it."""

        def running() -> Deployment | None:
            try:
                latest = self.latest(before.route)
                job = self.platform.gateways.flink.job(latest.job_id)
            except KeystoneError:
                return None
            return latest if latest.epoch > before.epoch and latest.outcome and job and job.is_running else None

        return wait_for(f"{before.route} runs again", running, HEALED_S)

    def intent_after(self, before: Deployment) -> Deployment:
        """Wait until the next deployment is intended and return it; what submits it takes seconds from then on."""
        deadline = time.monotonic() + HEALED_S
        while time.monotonic() < deadline:
            latest = self.platform.latest(before.route)
            if latest.epoch > before.epoch:
                assert latest.outcome is None, "it was looked too late"
                return latest
            time.sleep(0.05)
        message = f"{before.route}: nobody intends another deployment"
        raise AssertionError(message)

    def told(self, failed: float, run: Run, after: Deployment, up: float) -> str:
        """Return how long a failure took to be noticed, and the router to run again; times since the epoch."""
        ticks = [tick for tick in self.dagster.ticks(failed) if tick.began <= run.created]
        intended, asked = after.intended_at.timestamp(), run.created
        return (
            f"asked for {asked - failed:.1f} s after the failure, in tick {len(ticks)} after it; from then: "
            f"intent {intended - asked:.1f} s, running {up - asked:.1f} s"
        )

    def asked(self, since: float, job: str | None = None) -> Run:
        """Wait until the sensor has asked for a run since then, and return the first."""

        def run() -> Run | None:
            return next((each for each in self.dagster.runs(since) if job in (None, each.job)), None)

        return wait_for("the sensor asks for a run", run, HEALED_S)


class Applying:
    """A `keystone apply` in a process of its own."""

    def __init__(self, routes: Sequence[str] = ROUTES) -> None:
        self._began = time.monotonic()
        self.process = subprocess.Popen(
            [str(Path(sys.executable).parent / "keystone"), "apply", "--json", *routes],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def ended(self, timeout_s: float = 900.0) -> str:
        """Wait until it has ended and return what it wrote; the exit status is `process.returncode`."""
        written, _ = self.process.communicate(timeout=timeout_s)
        print(f"apply: exit {self.process.returncode} after {time.monotonic() - self._began:.0f} s")
        return written


DRILLED = Drilled("steered", steered_yaml(), ROUTES)


def at(settings: Settings, file: Path, flink_rest: str) -> Path:
    """Write settings that reach Flink elsewhere, and return their file."""
    file.write_text(settings.model_copy(update={"flink_rest": flink_rest}).model_dump_json())
    return file
