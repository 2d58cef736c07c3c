"""The proof sensor: finds hours that are over and have no proof, or got other rows since. It proves nothing itself.

Whether an hour is due is asked of the table and of the proofs, and remembered nowhere: a cursor that is lost costs a
look at each table.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import dagster as dg
from pydantic import TypeAdapter, ValidationError

from assets.compaction.select import Policy, is_due
from assets.due import RETRY_AFTER, Work, hour_request, hours_in_flight
from assets.landed import BUDGET
from assets.progress import in_turn
from assets.proof.prover import proofs_of
from assets.proof.watermark import covering
from assets.resource import WarehouseResource
from assets.routes import WarehouseRoute
from keystone_platform.errors import InvalidSpec, KeystoneError
from keystone_platform.gateways.clock import Clock, SystemClock
from keystone_platform.gateways.iceberg_files import HourTotals
from keystone_platform.gateways.lake import Lake
from keystone_platform.gateways.proofs import Proofs
from keystone_platform.plan.hour_proof import HOUR, Standing, Verdict

INTERVAL_S = 60

QUIET = timedelta(minutes=10)
"""An hour is proven when it is over, and nobody wrote to it, for so long."""

IN_FLIGHT = 4
"""Runs that may be queued or running, whoever asked for them: an hour that is to be compacted goes first."""

PATIENCE = timedelta(days=1)
"""How long after an hour its proof is made again and again because events have not landed."""


@dataclass(frozen=True)
class Seen:
    """A table at which nothing was due.

    Attributes:
        again_at: when something will be, though the table stays as it is; None: never.
    """

    snapshot_id: int
    again_at: datetime | None = None


@dataclass(frozen=True)
class ProofCursor:
    """Where the sensor is: tables that need no look, and the one that the next tick begins with."""

    tables: Mapping[str, Seen] = field(default_factory=dict)
    next: str | None = None


@dataclass(frozen=True)
class Backlog:
    """The hours of a table that want a proof now, the newest first, and when the next one will."""

    due: tuple[HourTotals, ...]
    again_at: datetime | None = None


_CURSOR = TypeAdapter(ProofCursor)


def backlog(
    totals: Iterable[HourTotals], verdicts: Mapping[datetime, Verdict], now: datetime, policy: Policy
) -> Backlog:
    """Return which hours are due.

    An hour that is due for compaction is left to that: the run that compacts it proves it. One whose proof found
    something wrong is not proven again until it changes: nobody is helped by the same answer.
    """
    due: list[HourTotals] = []
    later: list[datetime] = []
    for total in totals:
        at = _due_at(total, covering(total, verdicts))
        if at is None or is_due(total, now, policy):
            continue
        if at <= now:
            due.append(total)
        else:
            later.append(at)
    # oldest last; None is no hour of `_due_at`
    due.sort(key=lambda total: total.hour or datetime.min, reverse=True)
    return Backlog(tuple(due), min(later, default=None))


def _due_at(total: HourTotals, verdict: Verdict | None) -> datetime | None:
    if total.hour is None or not total.rows:
        return None
    over = total.hour + HOUR
    if verdict is None or verdict.made_at < over:
        return max(over, total.changed_at or over) + QUIET
    is_patient = verdict.standing is Standing.WAITING and verdict.made_at < over + PATIENCE
    return verdict.made_at + RETRY_AFTER if is_patient else None


def proof_request(route: WarehouseRoute, total: HourTotals, now: datetime) -> dg.RunRequest | None:
    """Return the request to prove the hour, with the rows that it holds; None when it is no partition of the route."""
    return hour_request(route, total.hour, now, "proof", f"{total.rows}-{total.sequence}")


def proof_sensor(
    routes: Sequence[WarehouseRoute], policy: Policy | None = None, clock: Clock | None = None
) -> dg.SensorDefinition:
    """Return the sensor over all routes."""
    by_table = {route.table: route for route in routes}
    policy = policy or Policy()
    clock = clock or SystemClock()

    @dg.sensor(
        name="proof_sensor",
        description="Asks for the proof of hours that are over and have none, or got other rows since.",
        target=dg.AssetSelection.assets(*(route.compacted for route in routes)),
        minimum_interval_seconds=INTERVAL_S,
        default_status=dg.DefaultSensorStatus.RUNNING,
    )
    def proof(context: dg.SensorEvaluationContext, warehouse: WarehouseResource) -> dg.SensorResult:
        now = clock.now()
        look = _Tick(by_table, policy, now, hours_in_flight(context.instance), _read(context.cursor))
        try:
            look.run(warehouse.lake(), proofs_of(warehouse.settings()), clock)
        except KeystoneError as error:  # what was asked for before it counts all the same
            context.log.warning(str(error))
        return dg.SensorResult(run_requests=look.requests, cursor=_CURSOR.dump_json(look.cursor).decode())

    return proof


class _Tick:
    """One tick: tables in turn, until the runs are as many as may be, or time is over."""

    def __init__(
        self,
        by_table: Mapping[str, WarehouseRoute],
        policy: Policy,
        now: datetime,
        busy: Collection[Work],
        cursor: ProofCursor,
    ) -> None:
        self._by_table = by_table
        self._policy = policy
        self._now = now
        self._busy = busy
        self.cursor = cursor
        self.requests: list[dg.RunRequest] = []

    def run(self, lake: Lake, proofs: Proofs, clock: Clock) -> None:
        order = in_turn(list(self._by_table), self.cursor.next)
        for number, table in enumerate(order):
            if self._room() <= 0 or (number and clock.now() - self._now > BUDGET):
                return
            seen = self._look(table, lake, proofs)
            tables = {name: each for name, each in self.cursor.tables.items() if name in order and name != table}
            self.cursor = ProofCursor(tables | ({table: seen} if seen else {}), order[(number + 1) % len(order)])

    def _look(self, table: str, lake: Lake, proofs: Proofs) -> Seen | None:
        head, seen = lake.head(table), self.cursor.tables.get(table)
        if head is None or head.snapshot_id is None:
            return None
        is_same = seen is not None and seen.snapshot_id == head.snapshot_id
        if seen and is_same and (seen.again_at is None or self._now < seen.again_at):
            return seen
        try:
            found = backlog(lake.hours(table), proofs.verdicts(table), self._now, self._policy)
        except InvalidSpec:  # dropped since
            return None
        route = self._by_table[table]
        requests = [each for total in found.due if (each := proof_request(route, total, self._now))]
        idle = [each for each in requests if (table, each.partition_key or "") not in self._busy]
        self.requests += idle[: self._room()]
        # a table with an hour that is due is looked at again: nobody knows how its run will end
        return None if requests else Seen(head.snapshot_id, found.again_at)

    def _room(self) -> int:
        return IN_FLIGHT - len(self._busy) - len(self.requests)


def _read(text: str | None) -> ProofCursor:
    try:
        return _CURSOR.validate_json(text) if text else ProofCursor()
    except ValidationError:
        return ProofCursor()
