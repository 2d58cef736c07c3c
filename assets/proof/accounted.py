"""The first leg of an hour's sum: what producers counted against what Kafka has.

Producers count by the timestamps of their records, an hour's segment is a range of offsets, so the two may differ with
nothing lost: docs/proof.md says by what.
"""

from __future__ import annotations

from datetime import datetime

from keystone_platform.audit.producers import take_all_counts
from keystone_platform.audit.records import read_records
from keystone_platform.gateways.clock import Clock
from keystone_platform.gateways.kafka import Offsets
from keystone_platform.gateways.kafka_clusters import KafkaClusters, connect_kafka
from keystone_platform.gateways.produced import SqlProduced
from keystone_platform.plan.hour_proof import HOUR, Accounted, HourProof
from keystone_platform.plan.router_plan import RouterPlan
from keystone_platform.settings import Settings

BEHIND = 20_000
"""Offsets of a partition behind the segment among which records of the hour are looked for."""


def accounted(
    settings: Settings, plan: RouterPlan, proof: HourProof, clock: Clock, *, whole: bool = False
) -> Accounted | None:
    """Return what producers counted of the proof's hour beside what Kafka has; None if no producer did.

    Takes the producers' newest audit events first. Reads records only where Kafka seems to lack some: BEHIND of each
    partition, or with `whole` all that came since.

    Raises:
        Transient, Terminal: Kafka or the ledger does not answer, or refuses.
    """
    kafka, store = connect_kafka(settings), SqlProduced(settings.ledger_url, create=False)
    take_all_counts(kafka, store, clock)
    produced = store.hour(plan.stream, proof.hour, clock.now())
    if produced is None:
        return None
    topics = plan.source.event_topics
    spans = [span for span in proof.spans if span.topic in topics]
    if any(span.expired for span in spans):
        return Accounted(produced=produced)
    empty = proof.compared.empty if proof.whole else 0
    in_segment = max(0, sum(span.offsets for span in spans) - empty)
    behind = unread = 0
    if in_segment < produced.acknowledged:
        for topic in topics:
            span, left = _behind(kafka, topic, proof.hour, None if whole else BEHIND)
            behind, unread = behind + _count(kafka, topic, span, proof.hour), unread + left
    return Accounted(produced=produced, in_kafka=in_segment + behind, behind=behind, unread=unread)


def _behind(kafka: KafkaClusters, topic: str, hour: datetime, limit: int | None) -> tuple[Offsets, int]:
    """Return the offsets behind the hour's segment that are looked through, and how many are left."""
    (begin,) = kafka.offsets_at(topic, hour + HOUR)
    ends = kafka.offsets(topic).end
    stop = {part: ends[part] if limit is None else min(ends[part], at + limit) for part, at in begin.items()}
    return Offsets(begin=begin, end=stop), sum(ends[part] - at for part, at in stop.items())


def _count(kafka: KafkaClusters, topic: str, span: Offsets, hour: datetime) -> int:
    """Count the hour's records in the span: others' came before them."""
    first, last = hour.timestamp() * 1000, (hour + HOUR).timestamp() * 1000
    return sum(
        first <= (record.timestamp_ms or 0) < last
        for records in read_records(kafka.properties, topic, span)
        for record in records
    )
