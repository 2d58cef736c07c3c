"""Writes what a producer counted into Kafka once a minute, so that others can close the sum from producer to table.

An audit event (docs/producer.md has its form) holds, for each stream, cluster and hour of the records' timestamps, the
counts since the producer began. A row is repeated until an audit event with its newest counts was acknowledged. So a
lost audit event loses nothing as long as the producer lives, and one that comes twice counts once: of a row the one
with the highest sequence number holds.
"""

from __future__ import annotations

import json
import threading
import time as clock
from collections.abc import Callable
from time import time_ns
from typing import TYPE_CHECKING, Any

from confluent_kafka import TIMESTAMP_LOG_APPEND_TIME, KafkaError, KafkaException, Message

from keystone_platform import envelope
from keystone_platform.producer.accounting import Tally
from keystone_platform.producer.stamps import time_text

if TYPE_CHECKING:
    from keystone_platform.producer.engine import Engine

_LAST_S = 2.0
"""How long the last audit event may take beyond the flush before it."""

_STEP_S = 0.05
_SKEW_MS = 60_000
_QUICK_S = 5.0
"""An audit event that was acknowledged so fast tells what the broker's clock says, where its topic has that."""


class Auditor:
    """Writes a producer's audit events, at whole intervals of the clock, with a thread of its own."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._topic = engine.directory.audit[0].topic
        self._began = time_ns() // 1_000_000
        self._until = self._began
        self._producer = engine.guid(self._began)
        self._sequence = 0
        self._open = 0
        self._lock = threading.Lock()
        self._is_over = threading.Event()
        self._is_hastened = threading.Event()
        self._thread = threading.Thread(target=self._run, name="keystone-producer-audit", daemon=True)
        self._thread.start()

    def close(self, deadline_s: float) -> None:
        """Write the final audit event and wait for it, not much longer than `deadline_s`."""
        self._is_over.set()
        self._is_hastened.set()
        self._thread.join()
        self.write(final=True)
        end = clock.monotonic() + min(deadline_s, _LAST_S)
        while self._open and clock.monotonic() < end:
            self._engine.audit_client()[0].flush(_STEP_S)

    def hasten(self) -> None:
        """Write an audit event at once, in the auditor's thread."""
        self._is_hastened.set()

    def abandon(self) -> None:
        """End in a child process: the thread is not in it."""
        self._is_over.set()

    def write(self, *, final: bool = False) -> None:
        """Write an audit event of now."""
        engine, now = self._engine, time_ns() // 1_000_000
        with self._lock:
            told = [(tally, tally.snapshot()) for tally in engine.account.tallies() if tally.is_news]
            document = self._document(told, now, final)
            self._sequence += 1
            self._until = now
        headers = [
            (envelope.CE_SPECVERSION, envelope.SPECVERSION),
            (envelope.CE_TYPE, envelope.PRODUCER_COUNTS_TYPE),
            (envelope.CE_TIME, time_text(now)),
            (envelope.CE_ID, engine.guid(now)),
            (envelope.CE_SOURCE, str(engine.source)),
        ]
        body = json.dumps(document, separators=(",", ":")).encode()
        try:
            client, topic = engine.audit_client()
            client.produce(topic, body, self._producer, -1, self._report(told, now), None, now, headers)
            self._open += 1
        except (BufferError, KafkaException, RuntimeError) as error:
            self._tell(str(error))

    def _document(self, told: list[tuple[Tally, tuple[Any, ...]]], now: int, final: bool) -> dict[str, Any]:
        retried = [[place.stream, place.cluster, counts.retried] for place, counts in self._engine.by_place().items()]
        return {
            "producer": self._producer,
            "sequence": self._sequence,
            "host": self._engine.source.host,
            "app": self._engine.source.app,
            "began": self._began,
            "from": self._until,
            "until": now,
            "final": final,
            "counts": [
                [tally.stream, tally.cluster, tally.hour, attempted, acknowledged, dict(dropped)]
                for tally, (attempted, acknowledged, dropped) in told
            ],
            "retried": [each for each in retried if each[2]],
            "using": self._engine.using(),
        }

    def _report(
        self, told: list[tuple[Tally, tuple[Any, ...]]], sent_millis: int
    ) -> Callable[[KafkaError | None, Message], None]:
        sent = clock.monotonic()

        def delivered(error: KafkaError | None, message: Message) -> None:
            self._open -= 1
            if error is not None:
                self._tell(error.str())
                return
            for tally, snapshot in told:
                tally.told = snapshot
            kind, millis = message.timestamp()
            if kind == TIMESTAMP_LOG_APPEND_TIME and clock.monotonic() - sent < _QUICK_S:
                self._compare_clocks(millis - sent_millis)

        return delivered

    def _compare_clocks(self, behind_ms: int) -> None:
        if abs(behind_ms) > _SKEW_MS:
            side = "behind" if behind_ms > 0 else "ahead"
            text = f"this machine's clock and the brokers' are {abs(behind_ms) / 1000:.0f} s apart"
            self._engine.reporter.tell(f"clock_{side}", text)

    def _tell(self, text: str) -> None:
        self._engine.reporter.tell("audit", f"no audit event in {self._topic}: {text}")

    def _run(self) -> None:
        interval = self._engine.settings.audit_interval_s
        while True:
            self._is_hastened.wait(interval - clock.time() % interval)
            self._is_hastened.clear()
            if self._is_over.is_set():
                return
            self.write()
