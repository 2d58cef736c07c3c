"""The servers of one test, all of them stateful stand-ins, and a plan to deploy on them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from keystone_platform.control.gateways import Gateways
from keystone_platform.gateways.ledger import SqlLedger
from keystone_platform.plan.router_plan import OutputColumn, RouterPlan, Source, WarehouseTarget
from keystone_platform.plan.slot_quota import UNBOUNDED, SlotQuotas
from keystone_platform.spec.types import Field, Scalar
from tests.control.fake_flink import FakeFlink, FakeSubmitter
from tests.control.fake_servers import FakeCheckpointReader, FakeClock, FakeKafka, FakeLake, FakeObjects, FakeSearch

CHECKPOINTS = "s3://keystone/flink"


@dataclass
class World:
    """All servers of one test."""

    clock: FakeClock
    objects: FakeObjects
    flink: FakeFlink
    submitter: FakeSubmitter
    kafka: FakeKafka
    lake: FakeLake
    search: FakeSearch
    ledger: SqlLedger
    slot_quotas: SlotQuotas = UNBOUNDED

    @property
    def gateways(self) -> Gateways:
        return Gateways(
            self.flink,
            self.submitter,
            self.kafka,
            self.lake,
            self.search,
            self.objects,
            self.ledger,
            self.clock,
            CHECKPOINTS,
            FakeCheckpointReader(),
            self.slot_quotas,
        )


def make_world(folder: Path) -> World:
    """Return servers with nothing on them; the ledger is the real one, on SQLite."""
    clock, objects = FakeClock(), FakeObjects()
    flink = FakeFlink(objects, clock)
    ledger = SqlLedger(f"sqlite:///{folder}/ledger.db")
    return World(clock, objects, flink, FakeSubmitter(flink), FakeKafka(), FakeLake(), FakeSearch(), ledger)


def a_plan(route: str = "playback.warehouse", parallelism: int = 1, table: str = "events.playback") -> RouterPlan:
    """Return a small valid plan; another parallelism or table gives another digest."""
    stream = route.split(".")[0]
    return RouterPlan(
        route=route,
        stream=stream,
        source=Source(topic=stream, columns=(Field("country", Scalar.STRING),)),
        columns=(OutputColumn(name="country", path=("country",), type=Scalar.STRING),),
        target=WarehouseTarget(table=table),
        dead_letter_topic=f"{stream}.dlq",
        parallelism=parallelism,
        checkpoint_interval_s=10,
    )
