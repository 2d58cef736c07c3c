"""How services send a stream's events, as its team declares it."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from keystone_platform.spec.base import Spec

MAX_BLOCK_S = 60.0
"""Longest `max_block_s`: who waits longer should keep events elsewhere."""

Acks = Literal["all", "1"]


def _acks(value: Any) -> Any:  # noqa: ANN401 - raw YAML
    """Take YAML's number for the word that it is here."""
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


class ProducerSpec(Spec):
    """How services send the stream's events: its tier. Routers do not look at it."""

    acks: Annotated[Acks, BeforeValidator(_acks)] = "all"
    """Who has an event before it counts as acknowledged: every in-sync replica, or the partition's leader alone, which
    may die with it."""
    max_block_s: float = Field(default=0.0, ge=0, le=MAX_BLOCK_S, strict=True)
    """Seconds that `send` may wait for room in a full buffer; then, and without it at once, the event is dropped."""

    @model_validator(mode="after")
    def _waits_for_what_is_kept(self) -> ProducerSpec:
        if self.acks == "1" and self.max_block_s:
            message = "`max_block_s` is for `acks: all`: an event that may die with a broker is not worth a wait"
            raise ValueError(message)
        return self


DEFAULT_PRODUCER = ProducerSpec()
