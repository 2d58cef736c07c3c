"""Proves a table's hours and keeps what was found: what the command line and Dagster both call, so that they agree."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime

from assets.proof.accounted import accounted
from assets.proof.prove import Progress, Task, prove_hour
from assets.proof.watermark import Watermark, advance
from keystone_platform.errors import Terminal, Transient
from keystone_platform.gateways.clock import Clock
from keystone_platform.gateways.lake import IcebergLake
from keystone_platform.gateways.ledger import SqlLedger
from keystone_platform.gateways.proofs import Proofs, SqlProofs
from keystone_platform.plan.hour_proof import HourProof
from keystone_platform.plan.router_plan import RouterPlan
from keystone_platform.settings import Settings

EARLIER_PLANS = 5
"""Plans that ran before the present one and that events are judged by as well; each reads wrong windows once more."""


def proofs_of(settings: Settings) -> Proofs:
    """Return the store of proofs that the settings name."""
    return SqlProofs(settings.ledger_url, create=False)


@dataclass(frozen=True)
class Prover:
    """Proves hours of one route's table.

    Attributes:
        plan: the route's, as declared.
    """

    settings: Settings
    plan: RouterPlan
    proofs: Proofs
    clock: Clock

    def prove(self, hour: datetime, *, whole: bool = False, progress: Progress = lambda _done, _all: None) -> HourProof:
        """Prove the hour and record the proof; see prove_hour."""
        earlier = earlier_plans(self.settings, self.plan, hour)
        proof = prove_hour(
            self.settings, Task(self.plan, hour, whole, earlier), now=self.clock.now(), progress=progress
        )
        with suppress(Transient, Terminal):  # the proof stands without what producers say
            counted = accounted(self.settings, self.plan, proof, self.clock, whole=whole)
            proof = proof.model_copy(update={"accounted": counted})
        self.proofs.record(proof)
        return proof

    def advance(self) -> Watermark:
        """Move the table's watermark; see advance."""
        task = Task(self.plan, self.clock.now())
        return advance(IcebergLake(self.settings), task.table, self.proofs, self.clock)


def earlier_plans(settings: Settings, plan: RouterPlan, hour: datetime) -> tuple[RouterPlan, ...]:
    """Return other plans of the route that ran after the hour began, newest first: they landed what they let pass.

    None where there is no ledger: then the present plan is all that is known.
    """
    try:
        history = SqlLedger(settings.ledger_url, create=False).history(plan.route)
    except Transient:
        return ()
    ran = [each.plan for each in history if each.ended_at is None or each.ended_at >= hour]
    others = {each.digest: each for each in ran if each.digest != plan.digest}
    return tuple(others.values())[:EARLIER_PLANS]
