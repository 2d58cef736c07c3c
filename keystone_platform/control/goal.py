"""What is asked of one route, and how it ended: values that whoever reconciles hands in and gets back."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from keystone_platform.errors import KeystoneError
from keystone_platform.plan.decide import Action, Request
from keystone_platform.plan.deployment import Deployment
from keystone_platform.plan.router_plan import RouterPlan
from keystone_platform.spec.fleet import LoadedRoute
from keystone_platform.spec.models import DEFAULT_HEALTH, DEFAULT_LIMIT, AutoscaleSpec, DeadLetterLimit, HealthSpec

Progress = Callable[[str, str], None]
"""Is told (route, what is being done now)."""


@dataclass(frozen=True)
class Goal:
    """A route's goal state.

    Attributes:
        plan: what shall run.
        partitions: partitions of the source topic, should it have to be created.
        limit: how many of its events may die.
        why: what a pause, a rollback or a rescale is for; goes into the ledger.
        suspended: it shall not run although its plan is known.
        health: what its health check takes for well.
        autoscale: bounds within which the platform chooses the parallelism; None where it is as declared.
        declared: where the route is declared; None for what comes from the ledger, such as a rollback or a stop.
    """

    plan: RouterPlan
    partitions: int
    limit: DeadLetterLimit = DEFAULT_LIMIT
    why: str = ""
    suspended: bool = False
    health: HealthSpec = DEFAULT_HEALTH
    autoscale: AutoscaleSpec | None = None
    declared: LoadedRoute | None = None

    @property
    def route(self) -> str:
        """The route's identity."""
        return self.plan.route

    def asked(self, request: Request) -> Request:
        """Return what the request comes to: what is suspended is not started, whoever asks."""
        starts = request in (Request.CONVERGE, Request.RESTART)
        return Request.SUSPEND if self.suspended and starts else request


Refresh = Callable[[Sequence[Goal]], Sequence[Goal]]
"""Returns the goals as they are declared now, in the same order."""


@dataclass(frozen=True)
class Verdict:
    """How reconciling one route ended.

    Attributes:
        ok: the route is as asked for.
        action: what was decided.
        deployment: the newest deployment afterwards; None if there never was one.
        error: what went wrong; None when ok.
        held: why another plan runs than the declared one, since that was rolled back; empty when it is not so.
    """

    route: str
    action: Action
    deployment: Deployment | None
    error: KeystoneError | None = None
    held: str = ""

    @property
    def ok(self) -> bool:
        """Whether the route is as asked for."""
        return self.error is None

    @property
    def message(self) -> str:
        """One line for people."""
        done = str(self.error) if self.error else f"{self.action.act}: {self.action.why}"
        return f"{done}; {self.held}" if self.held else done
