"""The route's dead letters whose events are in the hour's segment."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta

import pyarrow as pa

from keystone_platform.audit.records import Clients
from keystone_platform.dead_letters.letter import DeadLetter
from keystone_platform.dead_letters.scan import Selection, letters
from keystone_platform.gateways.kafka import KafkaGateway, Offsets
from keystone_platform.plan.hour_proof import Span
from keystone_platform.plan.router_plan import RouterPlan

EARLIER = timedelta(days=1)
"""A letter has its event's time and the topic is in no order of it: letters of events that were so late are found."""


class Letters:
    """Reads them, those of about the hour first and the older ones only when somebody asks for more.

    Args:
        client: properties of a Kafka client, by topic.
    """

    def __init__(
        self, kafka: KafkaGateway, client: Clients, plan: RouterPlan, spans: Sequence[Span], hour: datetime
    ) -> None:
        self._client = client
        self._plan = plan
        self._held = {(span.topic, span.partition): range(span.begin, span.end) for span in spans if span.offsets}
        self._newer: dict[str, Offsets] = {}
        self._older: dict[str, Offsets] = {}
        for topic in plan.dead_letter_topics:
            ends = kafka.offsets(topic)
            (since,) = kafka.offsets_at(topic, hour - EARLIER)
            split = {part: max(ends.begin[part], since.get(part, end)) for part, end in ends.end.items()}
            self._newer[topic] = Offsets(begin=split, end=ends.end)
            self._older[topic] = Offsets(begin=ends.begin, end=split)

    @property
    def has_older(self) -> bool:
        """Whether there are letters that `newer` left out."""
        return any(span.span for span in self._older.values())

    def newer(self) -> Iterator[pa.Table]:
        """Yield the letters since a day before the hour, in batches."""
        return self._read(self._newer)

    def older(self) -> Iterator[pa.Table]:
        """Yield the letters before those, once."""
        spans, self._older = self._older, {}
        return self._read(spans)

    def _read(self, spans: Mapping[str, Offsets]) -> Iterator[pa.Table]:
        if not self._held:
            return
        chosen = Selection(route=self._plan.route)
        for topic, span in spans.items():
            for batch in letters(self._client, topic, span, chosen):
                found = [letter for letter in batch if self._is_held(letter)]
                if found:
                    yield self._table(found)

    def _is_held(self, letter: DeadLetter) -> bool:
        source = letter.source
        return source.offset in self._held.get((source.topic, source.partition), ())

    def _table(self, found: Sequence[DeadLetter]) -> pa.Table:
        return pa.table(
            {
                "topic": pa.array([letter.source.topic for letter in found], pa.string()),
                "part": pa.array([letter.source.partition for letter in found], pa.int32()),
                "offset": pa.array([letter.source.offset for letter in found], pa.int64()),
                "ours": pa.array([letter.digest == self._plan.digest for letter in found]),
            }
        )
