"""What a stream's dead letters come to: counts by route and reason, and the newest ones."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from keystone_platform.dead_letters.letter import DeadLetter
from keystone_platform.gateways.kafka import Offsets

NEWEST_BYTES = 256 * 1024 * 1024
"""Most bytes of payload that the newest letters are held with; of larger ones fewer are shown."""

_NEVER = datetime.min.replace(tzinfo=UTC)


@dataclass
class Tally:
    """The letters of one route and reason.

    Attributes:
        held: of them, those whose event the source topic still has.
        oldest: when the first one died; None when none says so.
    """

    route: str
    code: str
    letters: int = 0
    held: int = 0
    oldest: datetime | None = None
    newest: datetime | None = None

    def add(self, letter: DeadLetter, *, held: bool) -> None:
        """Count the letter."""
        self.letters += 1
        self.held += held
        if letter.died_at:
            self.oldest = min(self.oldest or letter.died_at, letter.died_at)
            self.newest = max(self.newest or letter.died_at, letter.died_at)


class Summary:
    """Letters added up, batch by batch.

    Args:
        sources: what the stream's topics hold, one a cluster.
        limit: how many of the newest letters are kept.
    """

    def __init__(self, sources: Mapping[str, Offsets], limit: int) -> None:
        self._sources = sources
        self._tallies: dict[tuple[str, str], Tally] = {}
        self._newest: deque[DeadLetter] = deque(maxlen=limit)
        self._bytes = 0

    def add(self, letters: Sequence[DeadLetter]) -> None:
        """Count a batch."""
        for letter in letters:
            tally = self._tallies.setdefault((letter.route, letter.code), Tally(letter.route, letter.code))
            tally.add(letter, held=self._is_held(letter))
        for letter in letters[-(self._newest.maxlen or 0) :] if self._newest.maxlen else ():
            self._keep(letter)

    @property
    def letters(self) -> int:
        """How many there are. An event whose letter was written twice counts twice."""
        return sum(tally.letters for tally in self._tallies.values())

    @property
    def tallies(self) -> tuple[Tally, ...]:
        """By route and reason, most letters first."""
        return tuple(sorted(self._tallies.values(), key=lambda tally: (-tally.letters, tally.route, tally.code)))

    @property
    def newest(self) -> tuple[DeadLetter, ...]:
        """The newest letters, newest first."""
        return tuple(sorted(self._newest, key=lambda letter: (letter.died_at or _NEVER, letter.at), reverse=True))

    def share(self, tally: Tally) -> float | None:
        """Return which share of the events that the source topics hold died so; None when they hold none."""
        span = sum(source.span for source in self._sources.values())
        return tally.held / span if span else None

    def _is_held(self, letter: DeadLetter) -> bool:
        source = self._sources.get(letter.source.topic)
        begin = source.begin.get(letter.source.partition) if source else None
        return begin is not None and letter.source.offset >= begin

    def _keep(self, letter: DeadLetter) -> None:
        if len(self._newest) == self._newest.maxlen:
            self._bytes -= _size(self._newest.popleft())
        self._newest.append(letter)
        self._bytes += _size(letter)
        while self._bytes > NEWEST_BYTES and len(self._newest) > 1:
            self._bytes -= _size(self._newest.popleft())


def _size(letter: DeadLetter) -> int:
    return len(letter.payload or b"") + len(letter.key or b"")
