"""What producers told lately of the clusters that they use: their newest audit events, straight from the clusters."""

from __future__ import annotations

from collections.abc import Collection
from contextlib import suppress
from datetime import datetime, timedelta

from keystone_platform.audit.records import header_text, read_records
from keystone_platform.envelope import CE_TYPE, PRODUCER_COUNTS_TYPE
from keystone_platform.errors import KeystoneError
from keystone_platform.failover.order_topics import TIMEOUT_S
from keystone_platform.gateways.kafka import ConfluentKafka, Offsets
from keystone_platform.plan.produced import AuditEvent
from keystone_platform.plan.producing import audit_sites
from keystone_platform.spec.clusters import Clusters

LATELY = timedelta(minutes=3)
"""A producer writes each minute; one that told nothing for so long is left out."""


def told_lately(clusters: Clusters, awake: Collection[str], now: datetime) -> list[AuditEvent]:
    """Return the newest audit events of those clusters that are awake; one that is not after all is left out."""
    found: list[AuditEvent] = []
    for site in audit_sites(clusters):
        if site.cluster not in awake:
            continue
        with suppress(KeystoneError):
            properties = clusters.cluster(site.cluster).client_properties()
            kafka = ConfluentKafka(properties, TIMEOUT_S)
            (begin,) = kafka.offsets_at(site.topic, now - LATELY)
            span = Offsets(begin=begin, end=kafka.offsets(site.topic).end)
            for records in read_records(properties, site.topic, span):
                kept = [each for each in records if header_text(each, CE_TYPE) == PRODUCER_COUNTS_TYPE]
                found += [event for record in kept if (event := AuditEvent.read(record.value))]
    return found
