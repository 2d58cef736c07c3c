"""When to ask for a redeploy of a router that is down, and when to stop asking: a pure policy.

An incident opens when a router is found down and closes when the router has run for SETTLED without a break; one that
comes up and falls again before that is the same incident, so that a crash loop runs out of attempts.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from pydantic import BaseModel, ConfigDict

from keystone_platform.plan.lifecycle import Lifecycle

MAX_ATTEMPTS = 5
"""Redeploys of one incident; then a person is needed."""

FIRST_BACKOFF = timedelta(seconds=30)
"""Wait after the first attempt; doubled after each one."""

SETTLED = timedelta(minutes=10)
"""How long a router has to run without a break until the incident is over."""


class Incident(BaseModel):
    """A router that is down, or was a short while ago; kept in the sensor's cursor.

    Attributes:
        epoch: the deployment that was found down first; names the incident.
        attempts: redeploys asked for so far.
        asked_at: when the last one was asked for; None before the first.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    epoch: int
    attempts: int = 0
    asked_at: datetime | None = None

    @property
    def given_up(self) -> bool:
        """Whether all attempts are used."""
        return self.attempts >= MAX_ATTEMPTS

    def next_attempt_at(self) -> datetime | None:
        """Return when the next attempt may be asked for; None: at once."""
        return self.asked_at and self.asked_at + FIRST_BACKOFF * 2 ** (self.attempts - 1)


def track(incident: Incident | None, state: Lifecycle, epoch: int, lasted: timedelta) -> Incident | None:
    """Open, keep or close the incident; `lasted` is how long the route has been in this state."""
    if state.needs_redeploy:
        return incident or Incident(epoch=epoch)
    if incident is None or state in (Lifecycle.STOPPED, Lifecycle.PAUSED):
        return None
    return None if state is Lifecycle.RUNNING and lasted >= SETTLED else incident


def attempt(incident: Incident | None, state: Lifecycle, now: datetime) -> Incident | None:
    """Return the incident with one more attempt when a redeploy is to be asked for now, else None."""
    if incident is None or incident.given_up or not state.needs_redeploy:
        return None
    due = incident.next_attempt_at()
    if due is not None and now < due:
        return None
    return incident.model_copy(update={"attempts": incident.attempts + 1, "asked_at": now})
