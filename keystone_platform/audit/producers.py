"""Takes what producers wrote into their audit topic into the ledger's database, from where it stood."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from keystone_platform.audit.records import Clients, header_text, read_records
from keystone_platform.envelope import AUDIT_TOPIC, CE_TYPE, PRODUCER_COUNTS_TYPE
from keystone_platform.errors import Transient
from keystone_platform.gateways.clock import Clock
from keystone_platform.gateways.kafka import KafkaGateway, Offsets
from keystone_platform.gateways.kafka_clusters import KafkaClusters
from keystone_platform.gateways.produced import ProducedStore
from keystone_platform.plan.produced import AuditEvent

LIMIT = 20_000
"""Records that one call takes at most; the next one goes on."""


@dataclass(frozen=True)
class Taken:
    """What one call found.

    Attributes:
        events: audit events.
        strangers: records that are none.
        gone: offsets that Kafka had deleted before they were taken.
    """

    events: int = 0
    strangers: int = 0
    gone: int = 0


def take_all_counts(kafka: KafkaClusters, store: ProducedStore, clock: Clock) -> Taken:
    """Take what producers wrote into the audit topics of all clusters; one that is away is left to a later call.

    Raises:
        Transient, Terminal: no cluster answers, or one refuses; or the database does not answer.
    """
    taken, away = Taken(), []
    topics = kafka.audit_topics()
    for topic in topics:
        try:
            found = take_counts(kafka, kafka.properties, store, clock, topic)
        except Transient as error:
            away.append(error)
            continue
        taken = Taken(taken.events + found.events, taken.strangers + found.strangers, taken.gone + found.gone)
    if len(away) == len(topics):
        raise away[0]
    return taken


def take_counts(
    gateway: KafkaGateway, kafka: Clients, store: ProducedStore, clock: Clock, topic: str = AUDIT_TOPIC
) -> Taken:
    """Take the audit events that came since the last call, LIMIT at most. Nothing where there is no such topic.

    Each batch is one transaction with its position, so a crash takes none twice and leaves none out.

    Raises:
        Transient, Terminal: Kafka or the database does not answer, or refuses.
    """
    span, gone = _open(gateway.offsets(topic), store.positions(topic))
    events = strangers = 0
    for records in read_records(kafka, topic, span):
        found = [
            event
            for record in records
            if header_text(record, CE_TYPE) == PRODUCER_COUNTS_TYPE and (event := AuditEvent.read(record.value))
        ]
        reached = {record.partition: record.offset + 1 for record in records}
        store.record(topic, found, reached, clock.now())
        events += len(found)
        strangers += len(records) - len(found)
    return Taken(events, strangers, gone)


def _open(topic: Offsets, reached: Mapping[int, int]) -> tuple[Offsets, int]:
    """Return what is to be read, and how many offsets are gone. A topic that is shorter than known was made anew."""
    begin: dict[int, int] = {}
    gone = 0
    for part, oldest in topic.begin.items():
        known = reached.get(part, 0)
        begin[part] = oldest if known > topic.end[part] else max(known, oldest)
        gone += begin[part] - known if begin[part] > known else 0
    share = LIMIT // max(1, len(begin))
    end = {part: min(end, begin[part] + share) for part, end in topic.end.items()}
    return Offsets(begin=begin, end=end), gone
