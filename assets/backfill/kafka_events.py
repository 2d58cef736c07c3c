"""The events of a backfill in Kafka."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from pyiceberg.table import Table

from assets.backfill.events import bounded
from assets.backfill.rows import landed
from keystone_platform.audit.records import Clients, Record, read_records
from keystone_platform.errors import Terminal
from keystone_platform.gateways.kafka import Offsets
from keystone_platform.plan.backfill import KAFKA, KafkaTopics, Outline, Request, Scope, Span, outline
from keystone_platform.plan.recovery import NextOffsets
from keystone_platform.plan.router_plan import RouterPlan


class Topics(Protocol):
    """What of a Kafka cluster a backfill needs: see ConfluentKafka."""

    def offsets(self, topic: str) -> Offsets: ...

    def offsets_at(self, topic: str, *times: datetime) -> tuple[Mapping[int, int], ...]: ...


@dataclass(frozen=True)
class KafkaEvents:
    """A route's events in its topics; see Events.

    Attributes:
        properties: of a Kafka client, by topic, for the proof.
    """

    kafka: Topics
    properties: Clients
    plan: RouterPlan
    source: KafkaTopics = KAFKA
    lacks_none: bool = True

    def outline(self, request: Request, table: Table, committed: NextOffsets) -> Outline:
        reach = {topic: self.kafka.offsets(topic) for topic in self.plan.source.topics}
        ends = {topic: each.end for topic, each in reach.items()}
        oldest = {topic: each.begin for topic, each in reach.items()}
        wished = request.spans or tuple(self._wished(request, ends, table))
        outlined = outline(request.times, wished, oldest, bounded(ends, committed), self.source)
        if request.spans:
            return outlined
        # a span of replayed dead letters always reaches to the topic's end
        behind = sum(ends[span.topic][span.partition] - span.end for span in wished)
        return outlined.model_copy(update={"behind": behind})

    def records(self, scope: Scope) -> Iterator[tuple[str, Sequence[Record]]]:
        for topic in dict.fromkeys(span.topic for span in scope.spans):
            spans = scope.of_topic(topic)
            begin, end = {each.partition: each.begin for each in spans}, {each.partition: each.end for each in spans}
            for records in read_records(self.properties, topic, Offsets(begin, end)):
                yield topic, records

    def nothing(self, outlined: Outline) -> Terminal:
        if outlined.unsettled:
            message = f"nothing of it is committed by the live router yet ({', '.join(map(str, outlined.unsettled))})"
            return Terminal(message, mend="Wait until the router has landed something newer, then run it again.")
        if outlined.gone:
            message = f"Kafka has deleted all of it ({', '.join(map(str, outlined.gone))})"
            mend = "Where a raw table holds these events: --from-table NAMESPACE.TABLE. The rows that are there stay."
            return Terminal(message, mend=mend)
        return Terminal("the topic has no events of these times", mend="Look at the times: they are UTC.")

    def _wished(self, request: Request, ends: NextOffsets, table: Table) -> Iterator[Span]:
        """Yield where the events of the times are: from the first on, up to the last that landed or may be late."""
        present = landed(table, request.times)
        bounds = [request.times[0].start, request.times[-1].end + request.late]
        for topic, of_topic in ends.items():
            first, last = self.kafka.offsets_at(topic, *bounds)
            for partition, end in of_topic.items():
                begin_at, end_at = first.get(partition, end), last.get(partition, end)
                # dead letters come back in the order of their replay: what is of these times may be anywhere behind
                reach = end_at if topic in self.plan.source.event_topics else end
                if mine := present.get((topic, partition)):
                    begin_at, reach = min(begin_at, mine.begin), max(reach, mine.end)
                if begin_at < min(reach, end):
                    yield Span(topic=topic, partition=partition, begin=begin_at, end=min(reach, end))
