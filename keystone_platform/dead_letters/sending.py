"""The producer of replays: transactions under one id per stream, so that a second replay fences off the first."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import TracebackType

from confluent_kafka import KafkaError, KafkaException, Producer

from keystone_platform import envelope
from keystone_platform.dead_letters.letter import DeadLetter
from keystone_platform.errors import Conflict, KeystoneError, Terminal, Transient

COMMIT_RECORDS = 1_000
COMMIT_BYTES = 64 * 1024 * 1024
"""A transaction ends after so many records or bytes: what a replay that dies has to do again."""

ANSWER_S = 30.0
"""How long the cluster may take to begin or to end a transaction."""

_PRODUCER: Mapping[str, str | int] = {
    "acks": "all",
    "compression.type": "lz4",
    "linger.ms": 20,
    "message.max.bytes": 16 * 1024 * 1024,
    "queue.buffering.max.kbytes": 128 * 1024,
    "transaction.timeout.ms": 60_000,
    "log_level": 0,
}

_FENCED = frozenset({KafkaError._FENCED, KafkaError.INVALID_PRODUCER_EPOCH, KafkaError.PRODUCER_FENCED})


class ReplayProducer:
    """Sends replayed letters, committed in pieces. Use it as a context; leaving it by an error drops what is open.

    Entering raises Transient when Kafka does not answer. Whoever entered before is fenced off from then on.
    """

    def __init__(self, kafka: Mapping[str, str], stream: str) -> None:
        self._stream = stream
        self._producer = Producer({**kafka, **_PRODUCER, "transactional.id": f"keystone.replay.{stream}"})
        self._records = 0
        self._bytes = 0

    def __enter__(self) -> ReplayProducer:
        self._do(lambda: self._producer.init_transactions(ANSWER_S))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._records:  # an open transaction is dropped: now, or by whoever comes next
            try:
                self._producer.abort_transaction(ANSWER_S)
            except KafkaException:
                return

    def send(self, topic: str, letter: DeadLetter) -> None:
        """Send the event of a letter to the topic, as it was; its transaction may still be open after it."""
        if not self._records:
            self._do(self._producer.begin_transaction)
        self._do(lambda: self._produce(topic, letter))
        self._records += 1
        self._bytes += len(letter.payload or b"") + len(letter.key or b"")
        if self._records >= COMMIT_RECORDS or self._bytes >= COMMIT_BYTES:
            self.commit()

    def commit(self) -> None:
        """Commit what was sent since the last commit.

        Raises:
            Conflict: another replay of the stream has begun.
            Transient: Kafka does not answer; whether the last piece counts is seen by the next replay.
        """
        if self._records:
            self._do(lambda: self._producer.commit_transaction(ANSWER_S))
        self._records = self._bytes = 0

    def _produce(self, topic: str, letter: DeadLetter) -> None:
        timestamp = {} if letter.event_ms is None else {"timestamp": letter.event_ms}
        headers = list(replayed_headers(letter).items())
        while True:
            try:
                self._producer.produce(topic, letter.payload, letter.key, 0, headers=headers, **timestamp)
            except BufferError:
                self._producer.poll(1.0)
            else:
                self._producer.poll(0)
                return

    def _do(self, act: Callable[[], object]) -> None:
        try:
            act()
        except KafkaException as error:
            raise self._translated(error.args[0]) from error

    def _translated(self, error: KafkaError) -> KeystoneError:
        if error.code() in _FENCED:
            message = f"another replay of {self._stream} has begun; this one has ended"
            return Conflict(message, mend="What it committed stays and is not sent again.")
        message = f"Kafka did not take the replay of {self._stream}: {error.str()}"
        mend = "Run it again: what was committed is not sent a second time."
        return Transient(message, mend=mend) if error.retriable() or not error.fatal() else Terminal(message, mend=mend)


def replayed_headers(letter: DeadLetter) -> dict[str, bytes | None]:
    """Return the event's own headers with those that say that it is replayed."""
    added = {envelope.REPLAY_LETTER: str(letter.at), envelope.REPLAY_SOURCE: str(letter.source)}
    return {**letter.headers, **{name: value.encode() for name, value in added.items()}}
