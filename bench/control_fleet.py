"""A fleet on paper: so many streams as files, deployed in a real ledger and on a stand-in of Flink."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from keystone_platform.gateways.ledger import SqlLedger
from keystone_platform.plan.deployment import Cause, Outcome
from keystone_platform.plan.observation import JobState
from keystone_platform.plan.plan_router import plan_fleet
from keystone_platform.plan.submission import Submission
from keystone_platform.settings import S3Settings, Settings
from keystone_platform.spec.loader import load_streams
from tests.control.fake_flink import FakeFlink
from tests.control.fake_servers import FakeClock, FakeObjects
from tests.control.fakes import CHECKPOINTS

EPOCHS = 20
"""Deployments of each route that the ledger remembers: history is kept forever."""

_STREAM = """\
stream: stream_{number:04}
owner: team:team{team}
description: Events of service {number}.
partitions: 4
schema:
  user_id: bigint
  session_id: string
  country: string
  device: {{type: string, os: string, memory_mb: int}}
  started_at: timestamp
  duration_ms: bigint
  bitrate_kbps: double
  tags: {{array: string}}
routes:
  - sink: {{warehouse: {{table: events.stream_{number:04}}}}}
    filter: "duration_ms > {number} and country in ('US', 'BR', 'DE')"
    select: [user_id, country, {{device_type: device.type}}, started_at, {{minutes: "duration_ms / 60000"}}]
"""


@dataclass(frozen=True)
class PaperFleet:
    """Where the fleet is declared and remembered.

    Attributes:
        folder: holds `streams/`, `ledger.db`, and Dagster's home once it is used.
    """

    folder: Path

    @property
    def streams(self) -> Path:
        """Folder of the stream YAMLs."""
        return self.folder / "streams"

    @property
    def dagster_home(self) -> Path:
        """Folder of Dagster's databases."""
        return self.folder / "dagster"

    def settings(self, flink_rest: str) -> Settings:
        """Return settings by which everything but Flink and the ledger is out of reach."""
        return Settings(
            kafka={"bootstrap.servers": "127.0.0.1:1"},
            s3=S3Settings(endpoint="http://127.0.0.1:1", access_key_id="none", secret_access_key="none"),
            catalog={"type": "sql", "uri": "sqlite://"},
            flink_rest=flink_rest,
            dagster_url="http://127.0.0.1:1",
            ledger_url=f"sqlite:///{self.folder}/ledger.db",
            checkpoints=CHECKPOINTS,
        )


def declare(folder: Path, routes: int) -> PaperFleet:
    """Write so many streams of one route each."""
    fleet = PaperFleet(folder)
    fleet.streams.mkdir(parents=True)
    fleet.dagster_home.mkdir()
    for number in range(routes):
        (fleet.streams / f"stream_{number:04}.yaml").write_text(_STREAM.format(number=number, team=number % 40))
    return fleet


def deploy(fleet: PaperFleet) -> FakeFlink:
    """Deploy every route on a stand-in; then let one in a hundred fail and another one be forgotten by the cluster."""
    plans = plan_fleet(load_streams(fleet.streams)).plans
    clock = FakeClock()
    clock.time = datetime.now(UTC)
    flink = FakeFlink(FakeObjects(), clock, slots=2 * len(plans))
    ledger = SqlLedger(fleet.settings("http://none").ledger_url)
    for plan in plans:
        intent = ledger.intend(plan, after=0, cause=Cause.DEPLOY, restore_from=None, now=clock.now())
        directory = f"{CHECKPOINTS}/checkpoints/{plan.route}"
        job_id = intent.job_id
        flink.take(
            Submission(
                plan=plan,
                epoch=1,
                job_id=job_id,
                restore_from=None,
                checkpoint_directory=directory,
                savepoint_directory=directory,
            )
        )
        flink.count(job_id, events=1_000_000, dead=10)
        flink.checkpoint(job_id)
        ledger.record_outcome(intent, Outcome.SUBMITTED, now=clock.now())
    _age(fleet.folder / "ledger.db")
    _break(flink, list(flink.known))
    return flink


def _break(flink: FakeFlink, job_ids: Sequence[str]) -> None:
    for job_id in job_ids[::100]:
        flink.set_state(job_id, JobState.FAILED)
    for job_id in job_ids[50::100]:
        del flink.known[job_id]


def _age(database: Path) -> None:
    """Make each deployment the last of many, as if its route had been upgraded again and again."""
    connection = sqlite3.connect(database)
    with connection:
        connection.execute("UPDATE deployments SET epoch = ?", [EPOCHS])
        columns = [row[1] for row in connection.execute("PRAGMA table_info(deployments)")]
        for epoch in range(1, EPOCHS):
            changed = {"epoch": str(epoch), "job_id": f"'{epoch}-' || job_id", '"end"': "'replaced'"}
            values = [changed.get(name, changed.get(f'"{name}"', f'"{name}"')) for name in columns]
            quoted = ", ".join(f'"{name}"' for name in columns)
            connection.execute(
                f"INSERT INTO deployments ({quoted}) SELECT {', '.join(values)} FROM deployments WHERE epoch = {EPOCHS}"
            )
    connection.close()
