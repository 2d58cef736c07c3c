"""What both kinds of `keystone produce` have in common."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

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
    """Return a producer of the stream on its declared terms; makes its topics and the audit topics if they are missing.

    Raises:
        Transient, Terminal: none of the stream's clusters answers, or one refuses.
    """
    from keystone_platform.control.prepare import AUDIT_PARTITIONS, AUDIT_TOPIC_SETTINGS
    from keystone_platform.envelope import AUDIT_TOPIC
    from keystone_platform.gateways.kafka_clusters import connect_kafka, sending_properties
    from keystone_platform.ndjson.pace import BUFFER_BYTES
    from keystone_platform.plan.producing import plan_producers
    from keystone_platform.producer import KeystoneProducer, ProducerSettings, Terms

    kafka = connect_kafka(settings)
    document = plan_producers([spec], kafka.clusters)
    topics = [site.topic for site in document.streams[spec.stream].clusters] or [spec.topic_name]
    audits = [site.topic for site in document.audit_clusters] or [AUDIT_TOPIC]
    _make(topics, lambda topic: kafka.ensure_topic(topic, spec.partitions))
    _make(audits, lambda topic: kafka.ensure_topic(topic, AUDIT_PARTITIONS, AUDIT_TOPIC_SETTINGS))
    return KeystoneProducer(
        sending_properties(kafka.clusters, lambda own: {"delivery.timeout.ms": str(GIVE_UP_MS), **own}),
        APP,
        terms=Terms.of(document.model_dump(mode="json")),
        # what is stuck on a cluster that went away goes to the other one, and may be in both, under the same guid
        settings=ProducerSettings(max_buffer_bytes=BUFFER_BYTES, resend=len(kafka.clusters.declared) > 1),
        on_problem=_tell,
    )


def _make(topics: Iterable[str], make: Callable[[str], object]) -> None:
    """Make the topics; that of a cluster which is away is left to a later apply, unless all are."""
    from keystone_platform.errors import Transient

    made, away = 0, []
    for topic in topics:
        try:
            make(topic)
            made += 1
        except Transient as error:
            away.append(error)
    if away and not made:
        raise away[0]


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
