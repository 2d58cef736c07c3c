"""Reads a stream's dead letters, in batches: however many there are, a batch is all that is held."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from keystone_platform.audit.records import Clients, read_records
from keystone_platform.dead_letters.letter import DeadLetter, read_letter
from keystone_platform.gateways.kafka import Offsets

Progress = Callable[[int, int], None]
"""Is told (records read, records to read)."""


@dataclass(frozen=True)
class Selection:
    """Which letters are meant.

    Attributes:
        route: `<stream>.<route>`; None: of every route.
        code: None: of every reason.
        since: letters that died then or later; one that does not say when it died is old.
        last: only the newest so many of the topic, before anything else is asked; None: all.
    """

    route: str | None = None
    code: str | None = None
    since: datetime | None = None
    last: int | None = None

    def takes(self, letter: DeadLetter) -> bool:
        """Whether the letter is meant, `last` aside."""
        if (self.route or letter.route) != letter.route or (self.code or letter.code) != letter.code:
            return False
        return self.since is None or (letter.died_at is not None and letter.died_at >= self.since)

    def span(self, topic: Offsets) -> Offsets:
        """Return the part of the topic in which the letters are."""
        if self.last is None:
            return topic
        begin = {part: max(topic.begin[part], end - self.last) for part, end in topic.end.items()}
        return Offsets(begin=begin, end=topic.end)


def letters(
    kafka: Clients,
    topic: str,
    span: Offsets,
    selection: Selection,
    progress: Progress = lambda _read, _total: None,
) -> Iterator[Sequence[DeadLetter]]:
    """Yield the selected letters of the range in batches, in the order of the topic; records of others are passed over.

    Raises:
        Transient: the broker goes silent.
        Terminal: a part of the range was deleted meanwhile.
    """
    read = 0
    for records in read_records(kafka, topic, span):
        found = (read_letter(topic, record) for record in records)
        yield [letter for letter in found if letter and selection.takes(letter)]
        read += len(records)
        progress(read, span.span)
