"""What both kinds of `keystone produce` have in common."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from keystone_platform.producer import Counts, KeystoneProducer, Problem
    from keystone_platform.settings import Settings
    from keystone_platform.spec.models import StreamSpec

APP = "keystone-produce"
"""The service that the events say they come from."""

FLUSH_S = 30.0
"""How long what is on its way may take at the end."""

GIVE_UP_MS = 30_000
"""Kafka away for so long, a run ends and tells where it was."""


def new_producer(settings: Settings, spec: StreamSpec) -> KeystoneProducer:
    """Return a producer of the stream on its declared terms; makes its topic and the audit topic if they are missing.

    Raises:
        Transient, Terminal: Kafka does not answer, or refuses.
    """
    from keystone_platform.control.prepare import AUDIT_PARTITIONS, AUDIT_TOPIC_SETTINGS
    from keystone_platform.envelope import AUDIT_TOPIC
    from keystone_platform.gateways.kafka import ConfluentKafka
    from keystone_platform.ndjson.pace import BUFFER_BYTES
    from keystone_platform.plan.producing import plan_producers
    from keystone_platform.producer import KeystoneProducer, ProducerSettings, Terms

    kafka = ConfluentKafka(settings.kafka)
    kafka.ensure_topic(spec.topic_name, spec.partitions)
    kafka.ensure_topic(AUDIT_TOPIC, AUDIT_PARTITIONS, AUDIT_TOPIC_SETTINGS)
    terms = Terms.of(plan_producers([spec]).model_dump())
    patience = {"delivery.timeout.ms": str(GIVE_UP_MS), **settings.kafka}
    bounds = ProducerSettings(max_buffer_bytes=BUFFER_BYTES)
    return KeystoneProducer(patience, APP, terms=terms, settings=bounds, on_problem=_tell)


def dropped_json(counts: Counts) -> dict[str, int]:
    """Return the dropped events by reason."""
    return {reason.value: events for reason, events in sorted(counts.dropped.items())}


def lost_text(counts: Counts) -> str:
    """Return the dropped events as the end of a sentence."""
    if not counts.dropped:
        return ", dropped 0"
    reasons = ", ".join(f"{reason} {events:,}" for reason, events in dropped_json(counts).items())
    return f", dropped {counts.dropped_total:,} ({reasons})"


def _tell(problem: Problem) -> None:
    typer.echo(f"{problem.kind}: {problem.text}", err=True)
