"""A verdict on a router, to be written to the event log."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Report:
    """Whether a router is well in one respect.

    Attributes:
        passed: it is, or is meant not to run.
        given_up: nothing that the platform does mends it: a person is needed.
        text: one line for people.
    """

    passed: bool
    given_up: bool
    text: str
