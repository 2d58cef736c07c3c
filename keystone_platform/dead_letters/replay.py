"""Gives dead letters to their own route again, each event at most once.

The replay topic is the only memory: every record of it names the place where its route read the event before. A
transactional producer per stream writes it, so that of two replays at once one is fenced off, and one that died
half-way has left whole transactions or nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from keystone_platform.dead_letters.letter import DeadLetter
from keystone_platform.dead_letters.replayed import Positions, read_replayed
from keystone_platform.dead_letters.scan import Progress, Selection, letters
from keystone_platform.dead_letters.sending import ReplayProducer
from keystone_platform.errors import Terminal
from keystone_platform.gateways.kafka import KafkaGateway

TOO_LARGE = "too_large"
"""Code of a letter whose event could not be written whole."""


@dataclass(frozen=True)
class ReplayTarget:
    """A route that takes its letters again.

    Attributes:
        topic: its replay topic.
        digest: of the plan that runs, or would when it is started.
    """

    route: str
    topic: str
    digest: str


@dataclass
class ReplayCounts:
    """What a replay came to for one route.

    Attributes:
        letters: that were selected.
        repeated: of them, those whose event another one had brought already: replayed before, or written twice.
        unchanged: that died under the plan that runs now, and would again.
        cut: that hold only the beginning of an event that was too large.
        sent: given to the route now, or that would be.
    """

    route: str
    letters: int = 0
    repeated: int = 0
    unchanged: int = 0
    cut: int = 0
    sent: int = 0


@dataclass
class ReplayVerdict:
    """What a replay came to.

    Attributes:
        routes: by route; those of which a letter was selected.
        strangers: letters of routes that can't be replayed, because they are not declared or decode nothing.
        begin: by replay topic and partition, where this replay began.
    """

    routes: dict[str, ReplayCounts] = field(default_factory=dict)
    strangers: dict[str, int] = field(default_factory=dict)
    begin: dict[str, Mapping[int, int]] = field(default_factory=dict)

    @property
    def sent(self) -> int:
        """How many events were given to routes, or would be."""
        return sum(counts.sent for counts in self.routes.values())


def together(verdicts: Sequence[ReplayVerdict]) -> ReplayVerdict:
    """Return what the replays of a stream came to, one a cluster."""
    whole = ReplayVerdict()
    for each in verdicts:
        for route, counts in each.routes.items():
            total = whole.routes.setdefault(route, ReplayCounts(route))
            for name in ("letters", "repeated", "unchanged", "cut", "sent"):
                setattr(total, name, getattr(total, name) + getattr(counts, name))
        for route, letters_ in each.strangers.items():
            whole.strangers[route] = whole.strangers.get(route, 0) + letters_
        whole.begin.update(each.begin)
    return whole


@dataclass(frozen=True)
class Replay:
    """Replays of one stream on one of its clusters: a letter is given to its route on the cluster that it is on.

    Attributes:
        kafka: properties of a client.
        topic: the stream's dead letters.
        targets: by route.
        same_plan: also letters that died under the plan that runs now.
        lost: go on although a replay topic lost records, so that some events may be given to their route twice.
    """

    kafka: Mapping[str, str]
    gateway: KafkaGateway
    stream: str
    topic: str
    targets: Mapping[str, ReplayTarget]
    same_plan: bool = False
    lost: bool = False

    def preview(self, selection: Selection, progress: Progress) -> ReplayVerdict:
        """Return what `run` would do, and do nothing."""
        verdict = ReplayVerdict()
        for _ in self._due(selection, verdict, progress):
            pass
        return verdict

    def run(self, selection: Selection, progress: Progress) -> ReplayVerdict:
        """Send the selected letters and return the verdict; safe to run again at any time, also after it died.

        Raises:
            Conflict: another replay of the stream began meanwhile; what this one committed stays.
            Transient: Kafka does not answer; run it again.
            Terminal: a replay topic has lost records, so that nobody knows what was replayed.
        """
        verdict = ReplayVerdict()
        if not self.gateway.offsets(self.topic).span:
            return verdict
        with ReplayProducer(self.kafka, self.stream) as producer:  # fences others off before what they did is read
            for batch in self._due(selection, verdict, progress):
                for letter in batch:
                    producer.send(self.targets[letter.route].topic, letter)
            producer.commit()
        return verdict

    def _due(self, selection: Selection, verdict: ReplayVerdict, progress: Progress) -> Iterator[Sequence[DeadLetter]]:
        seen = Positions()
        try:
            for target in self.targets.values():
                verdict.begin[target.topic] = self._read_replayed(target, seen)
            span = selection.span(self.gateway.offsets(self.topic))
            for batch in letters(self.kafka, self.topic, span, selection, progress):
                yield [letter for letter in batch if self._is_due(letter, seen, verdict)]
        finally:
            seen.close()

    def _read_replayed(self, target: ReplayTarget, seen: Positions) -> Mapping[int, int]:
        span = self.gateway.offsets(target.topic)
        if any(span.begin.values()) and not self.lost:
            message = (
                f"the topic {target.topic} has lost records, so it is not known what was replayed to {target.route}"
            )
            raise Terminal(message, mend="--lost goes on: some events may be given to the route a second time.")
        read_replayed(self.kafka, target.route, target.topic, span, seen)
        return span.end

    def _is_due(self, letter: DeadLetter, seen: Positions, verdict: ReplayVerdict) -> bool:
        target = self.targets.get(letter.route)
        if target is None:
            verdict.strangers[letter.route] = verdict.strangers.get(letter.route, 0) + 1
            return False
        counts = verdict.routes.setdefault(letter.route, ReplayCounts(letter.route))
        counts.letters += 1
        if letter.code == TOO_LARGE:
            counts.cut += 1
            return False
        if letter.digest == target.digest and not self.same_plan and not seen.has(letter.route, letter.source):
            counts.unchanged += 1
            return False
        if not seen.add(letter.route, letter.source):
            counts.repeated += 1
            return False
        counts.sent += 1
        return True
