"""The route's dead letters whose events are in the hour's segment."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta

import pyarrow as pa

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
        client: properties of a Kafka client.
    """

    def __init__(
        self, kafka: KafkaGateway, client: Mapping[str, str], plan: RouterPlan, spans: Sequence[Span], hour: datetime
    ) -> None:
        self._client = client
        self._plan = plan
        self._held = {(span.topic, span.partition): range(span.begin, span.end) for span in spans if span.offsets}
        topic = plan.dead_letter_topic
        ends = kafka.offsets(topic)
        (since,) = kafka.offsets_at(topic, hour - EARLIER)
        split = {part: max(ends.begin[part], since.get(part, end)) for part, end in ends.end.items()}
        self._newer = Offsets(begin=split, end=ends.end)
        self._older = Offsets(begin=ends.begin, end=split)

    @property
    def has_older(self) -> bool:
        """Whether there are letters that `newer` left out."""
        return self._older.span > 0

    def newer(self) -> Iterator[pa.Table]:
        """Yield the letters since a day before the hour, in batches."""
        return self._read(self._newer)

    def older(self) -> Iterator[pa.Table]:
        """Yield the letters before those, once."""
        span, self._older = self._older, Offsets({}, {})
        return self._read(span)

    def _read(self, span: Offsets) -> Iterator[pa.Table]:
        if not self._held:
            return
        chosen = Selection(route=self._plan.route)
        for batch in letters(self._client, self._plan.dead_letter_topic, span, chosen):
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
