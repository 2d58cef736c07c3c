"""Sends the lines of files in their order and keeps, for each file, the place before which nothing is open."""

from __future__ import annotations

import zlib
from collections import Counter, deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from keystone_platform.gateways.clock import Clock
from keystone_platform.ndjson.lines import STDIN, Line, Place, lines, open_lines
from keystone_platform.ndjson.pace import Pace
from keystone_platform.ndjson.progress_file import ProgressFile
from keystone_platform.ndjson.reading import Bad, Reading
from keystone_platform.ndjson.stop import Stop
from keystone_platform.producer import Delivery, DropReason, KeystoneProducer
from keystone_platform.producer.client import MAX_EVENT_BYTES

LEAST_AHEAD, MOST_AHEAD = 100, 20_000
"""Lines that are announced at once in the progress file; between these so many that it is written once or twice a
second."""

MOST_ON_THEIR_WAY = 20_000
"""Lines without an outcome. After a kill at most so many and those that were announced may be doubled."""

_SOON_S, _LATE_S = 0.5, 1.0

_UNANSWERED = (None, DropReason.TIMED_OUT, DropReason.CLOSED)

_AT_FAULT = frozenset(
    {
        DropReason.TOO_LARGE,
        DropReason.NOT_BYTES,
        DropReason.BAD_TIME,
        DropReason.BAD_ATTRIBUTE,
        DropReason.INVALID,
    }
)
"""Reasons that lie in the line: to send it again would not help, so the run goes on behind it."""


class _Sent:
    """A line on its way."""

    __slots__ = ("delivery", "end")

    def __init__(self, end: Place) -> None:
        self.end = end
        self.delivery: Delivery | None = None

    def take(self, delivery: Delivery) -> None:
        """Take its outcome, in whatever thread it comes."""
        self.delivery = delivery


_TOO_LONG = Bad("too_long", f"more than {MAX_EVENT_BYTES:,} bytes")

_BAD = Delivery("", "", "")
"""The outcome of a line that was not sent: nothing is open about it."""


@dataclass
class FileResult:
    """What became of a file.

    Attributes:
        begin: where this run began.
        acknowledged: the place before which every line has its outcome.
        read: how far it was read.
        blank: lines with nothing in them.
        bad: lines that are no events, by reason; told as `file:line`.
        resumed_double: lines that an earlier run may have sent already; known when this one began.
        maybe_double: the same for the next run: lines behind `acknowledged` that may be in Kafka.
        switched_double: lines that went to another cluster when theirs was sick, and may be on both under one guid.
        is_ended: whether it was read to its end and all of it has its outcome.
    """

    file: str
    begin: Place
    acknowledged: Place
    read: Place
    blank: int = 0
    bad: Counter[str] = field(default_factory=Counter)
    resumed_double: int = 0
    maybe_double: int = 0
    switched_double: int = 0
    is_ended: bool = False


class LineSender:
    """Sends lines of one stream.

    Args:
        clock: tells how often the progress file is written.
        progress: where it is kept how far files were sent; None: nowhere.
        tell: is told each bad line as `file:line: why`.
        strict: the first bad line ends the run, before that line.
    """

    def __init__(
        self,
        producer: KeystoneProducer,
        stream: str,
        reading: Reading,
        *,
        pace: Pace,
        stop: Stop,
        clock: Clock,
        tell: Callable[[str], None],
        progress: ProgressFile | None = None,
        strict: bool = False,
    ) -> None:
        self._producer = producer
        self._stream = stream
        self._reading = reading
        self._pace = pace
        self._stop = stop
        self._clock = clock
        self._tell = tell
        self._progress = progress
        self._strict = strict
        self._open: deque[_Sent] = deque()
        self._announced = 0
        self._ahead = 10 * LEAST_AHEAD
        self._noted_at = 0.0
        self.failure: str | None = None
        self.results: list[FileResult] = []

    def send(self, files: Iterable[str], flush_s: float) -> None:
        """Send the files one after the other; `results` and `failure` say what became of it.

        Ends early when it is told to stop, when Kafka gives an event up that may be sent again, at a bad line if it is
        strict, and when a file can't be read on. Each file is flushed, for at most `flush_s`, before the next begins.

        Raises:
            InvalidSpec: a file can't be opened, or is not what the progress file says.
        """
        for name in files:
            self._send(name, flush_s)
            if not self.results[-1].is_ended:
                return

    def _send(self, name: str, flush_s: float) -> None:
        known = self._progress.find(name) if self._progress and name != STDIN else None
        begin = known.acknowledged if known else Place()
        result = FileResult(name, begin, begin, begin, resumed_double=known.maybe_double if known else 0)
        self._announced = max(begin.line, known.announced if known else 0)
        with open_lines(name, begin) as file:
            self.results.append(result)
            try:
                is_read = self._lines(lines(file, begin, MAX_EVENT_BYTES), result, is_input=name == STDIN)
            except (OSError, EOFError, zlib.error) as error:
                is_read = False
                self.failure = f"{name}: can't be read on behind line {result.read.line:,}: {error}"
            except KeyboardInterrupt:
                is_read = False
            self._producer.flush(flush_s)
        self._settle(result)
        result.is_ended = is_read and not self._open and self.failure is None
        result.maybe_double = self._last_arrived() - result.acknowledged.line if self._open else 0
        announced = result.acknowledged.line + result.maybe_double
        self._note(result, announced, is_told=True)
        self._open.clear()

    def _last_arrived(self) -> int:
        """Return the last line behind the first open one that may be in Kafka, else that of the acknowledged place."""
        before = self._open[0].end.line - 1
        return max((sent.end.line for sent in self._open if _may_have_arrived(sent)), default=before)

    def _lines(self, found: Iterable[Line], result: FileResult, *, is_input: bool) -> bool:
        """Send line by line; False when the run ends before the file does."""
        iterator = iter(found)
        while True:
            self._stop.may_wait = is_input
            line = next(iterator, None)
            self._stop.may_wait = False
            if line is None:
                return True
            if not self._line(line, result):
                return False
            result.read = line.end
            if len(self._open) >= 64:
                self._settle(result)

    def _line(self, line: Line, result: FileResult) -> bool:
        """Send a line; False when the run ends before it."""
        if line.text is not None and not line.text.strip():
            result.blank += 1
            self._done(line.end)
            return self._may_go_on(result)
        event = _TOO_LONG if line.text is None else self._reading.event(line.text)
        if isinstance(event, Bad):
            return self._bad(line, event, result)
        while len(self._open) >= MOST_ON_THEIR_WAY and self._may_go_on(result):
            self._pace.wait()
        if not self._may_go_on(result) or not self._pace.turn():
            return False
        if self._progress and line.end.line > self._announced:
            self._announce(line.end.line, result)
        sent = _Sent(line.end)
        self._open.append(sent)
        self._producer.send(self._stream, event.payload, event.key, event.time, on_delivery=sent.take)
        return True

    def _bad(self, line: Line, bad: Bad, result: FileResult) -> bool:
        if line.is_cut and self._progress:
            self._tell(f"{result.file}:{line.end.line}: left for the next run: the file ends within the line")
            return False
        result.bad[bad.reason] += 1
        self._tell(f"{result.file}:{line.end.line}: {bad.reason}: {bad.text}")
        if self._strict:
            self.failure = f"{result.file}:{line.end.line}: {bad.reason}: {bad.text}"
            return False
        self._done(line.end)
        return self._may_go_on(result)

    def _done(self, end: Place) -> None:
        sent = _Sent(end)
        sent.delivery = _BAD
        self._open.append(sent)

    def _may_go_on(self, result: FileResult) -> bool:
        if len(self._open) >= MOST_ON_THEIR_WAY:
            self._settle(result)
        return self.failure is None and not self._stop.asked

    def _settle(self, result: FileResult) -> None:
        """Move the acknowledged place behind all lines that have their outcome, up to the first that has none."""
        while self._open and (delivery := self._open[0].delivery):
            sent = self._open[0]
            if delivery.dropped is not None:
                place = f"{result.file}:{sent.end.line}: {delivery.dropped.value}: {delivery.text}"
                if delivery.dropped not in _AT_FAULT:
                    self.failure = self.failure or place
                    return
                self._tell(place)
            result.acknowledged = sent.end
            result.switched_double += delivery.is_resent
            self._open.popleft()

    def _announce(self, line: int, result: FileResult) -> None:
        """Write down that lines from this one on may have been sent: more of them at once, the faster they go."""
        since = self._clock.now().timestamp() - self._noted_at
        self._noted_at += since
        if since < _SOON_S:
            self._ahead = min(2 * self._ahead, MOST_AHEAD)
        elif since > _LATE_S:
            self._ahead = max(self._ahead // 2, LEAST_AHEAD)
        self._note(result, line + self._ahead)

    def _note(self, result: FileResult, announced: int, *, is_told: bool = False) -> None:
        if self._progress and result.file != STDIN:
            self._settle(result)
            self._announced = announced
            double = 0 if is_told else result.switched_double
            self._progress.note(result.file, result.acknowledged, announced, double)


def _may_have_arrived(sent: _Sent) -> bool:
    """Whether it may be in Kafka: it is, its outcome is open, or it was given up without an answer of some cluster."""
    delivery = sent.delivery
    if delivery is _BAD:
        return False
    return delivery is None or delivery.is_resent or delivery.dropped in _UNANSWERED
