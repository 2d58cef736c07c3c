"""What `make bench-producer` runs in a process of its own, on one core."""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from array import array
from collections.abc import Callable, Mapping

import psutil
from confluent_kafka import Producer

from keystone_platform import envelope
from keystone_platform.producer import Counts, Health, KeystoneProducer, Place, ProducerSettings
from keystone_platform.producer.client import TUNING

BOUND = 64 * 1024 * 1024
"""Of the buffer, where memory is measured."""

TICK_S = 0.001
RATE = 20_000
WARM_EVENTS = 40_000

Send = Callable[[], object]
Kafka = Mapping[str, str] | Mapping[str, Mapping[str, str]]


def main() -> None:
    """Run one case and print what it found as one JSON object."""
    what, servers, topic = sys.argv[1:4]
    events, size, key = map(int, sys.argv[4:7])
    standby = sys.argv[7]
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    payload, record_key = os.urandom(size // 2).hex().encode(), b"user-4711" if key else None
    cases: dict[str, Callable[[], Mapping[str, object]]] = {
        "bare": lambda: bare(servers, topic, events, payload, record_key),
        "send": lambda: send({"bootstrap.servers": servers}, topic, events, payload, record_key),
        "watched": lambda: send(clusters(servers, standby), topic, events, payload, record_key),
        "switch": lambda: switch(clusters(servers, standby), topic, payload),
        "up": lambda: latencies(servers, topic, events, payload),
        "dead": lambda: dead(servers, topic, events, payload),
    }
    sys.stdout.write(json.dumps(cases[what]()) + "\n")


def bare(servers: str, topic: str, events: int, payload: bytes, key: bytes | None) -> dict[str, float]:
    """Produce with confluent-kafka alone: the producer's settings, headers made beforehand, nothing counted."""
    settings = {**TUNING, "bootstrap.servers": servers, "enable.idempotence": True, "acks": "all"}
    producer = Producer({**settings, "queue.buffering.max.messages": 500_000, "queue.buffering.max.kbytes": 2**31 - 1})
    headers = [
        (envelope.CE_SPECVERSION, envelope.SPECVERSION),
        (envelope.CE_TYPE, topic),
        (envelope.CE_TIME, "2026-11-01T10:00:00.123Z"),
        (envelope.CE_ID, "019a0000-0000-7000-8000-000000000000"),
        (envelope.CE_SOURCE, "some-host-name/bench"),
    ]
    producer.produce(topic, value=payload, key=key, headers=headers)
    producer.flush(30)
    began = time.perf_counter()
    for number in range(events):
        producer.produce(topic, value=payload, key=key, headers=headers)
        if not number % 32:  # as often as KeystoneProducer: a poll an event would make it slower
            producer.poll(0)
    left = producer.flush(60)
    return {"per_s": events / (time.perf_counter() - began), "left": left}


def clusters(servers: str, standby: str) -> dict[str, dict[str, str]]:
    """Return the properties of a primary and a standby."""
    return {"primary": {"bootstrap.servers": servers}, "standby": {"bootstrap.servers": standby}}


def send(kafka: Kafka, topic: str, events: int, payload: bytes, key: bytes | None) -> dict[str, float]:
    """Send, and wait until all of it is acknowledged and counted."""
    producer = KeystoneProducer(kafka, "bench", host="some-host-name")
    producer.send(topic, payload, key)
    producer.flush(30)
    began = time.perf_counter()
    for _ in range(events):
        producer.send(topic, payload, key)
    left = producer.flush(60)
    spent = time.perf_counter() - began
    counts = producer.close(0)
    if counts.acknowledged != events + 1:
        message = f"not all were acknowledged: {counts}"
        raise SystemExit(message)
    return {"per_s": events / spent, "left": left}


def latencies(servers: str, topic: str, events: int, payload: bytes) -> dict[str, float]:
    """Send RATE events a second and tell how long single calls take."""
    producer = KeystoneProducer({"bootstrap.servers": servers}, "bench")
    took = _paced(lambda: producer.send(topic, payload), events)
    counts = producer.close(30)
    if counts.acknowledged != events:
        message = f"not all were acknowledged: {counts}"
        raise SystemExit(message)
    return _quantiles(took)


def switch(kafka: Kafka, topic: str, payload: bytes) -> dict[str, object]:
    """Send until the standby is known to be well, say so, wait for a word, and go on until it acknowledges."""
    producer = KeystoneProducer(kafka, "bench")
    place, word = Place(topic, "standby"), threading.Event()
    while producer.conditions()["standby"].health is not Health.HEALTHY or producer.counts().acknowledged < RATE:
        _paced(lambda: producer.send(topic, payload), RATE // 10)
    sys.stdout.write("ready\n")
    sys.stdout.flush()

    def listen() -> None:
        sys.stdin.readline()
        word.set()

    threading.Thread(target=listen, daemon=True).start()
    while not word.is_set():
        _paced(lambda: producer.send(topic, payload), RATE // 20)
    began = time.perf_counter()
    while not producer.counts_by_place().get(place, Counts()).acknowledged and time.perf_counter() - began < 60:
        _paced(lambda: producer.send(topic, payload), RATE // 20)
    spent = time.perf_counter() - began
    counts = {str(place): str(each) for place, each in producer.counts_by_place().items()}
    producer.close(0)
    return {"seconds": spent, "counts": counts}


def dead(servers: str, topic: str, events: int, payload: bytes) -> dict[str, object]:
    """Send with Kafka up, say so, wait for a word, and go on; Kafka is gone by then."""
    settings = ProducerSettings(max_buffer_bytes=BOUND, exit_flush_s=0)
    # events are given up after ten seconds already, so that the buffer is emptied and filled again in the minute
    properties = {"bootstrap.servers": servers, "delivery.timeout.ms": "10000"}
    producer = KeystoneProducer(properties, "bench", settings=settings)
    _paced(lambda: producer.send(topic, payload), WARM_EVENTS)
    producer.flush(30)
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    sys.stdin.readline()
    process, peak = psutil.Process(), 0
    took = array("Q", bytes(8 * events))
    before = process.memory_info().rss

    def look() -> None:
        nonlocal peak
        peak = max(peak, process.memory_info().rss)

    began = time.perf_counter()
    _paced(lambda: producer.send(topic, payload), events, took, look)
    spent = time.perf_counter() - began
    counts = producer.close(0)
    return {
        **_quantiles(took),
        "grown_mb": (peak - before) / 2**20,
        "bound_mb": BOUND / 2**20,
        "seconds": spent,
        "per_s": events / spent,
        "counts": str(counts),
    }


def _paced(
    call: Send, events: int, took: array[int] | None = None, look: Callable[[], None] | None = None
) -> array[int]:
    """Call `events` times, RATE a second, and note how long each call took, in nanoseconds."""
    took = array("Q", bytes(8 * events)) if took is None else took
    began, done, clock = time.perf_counter(), 0, time.perf_counter_ns
    while done < events:
        due = min(events, int((time.perf_counter() - began) * RATE))
        for number in range(done, due):
            before = clock()
            call()
            took[number] = clock() - before
        done = due
        if look and done % (RATE // 10) < RATE * TICK_S:
            look()
        time.sleep(TICK_S)
    return took


def _quantiles(took: array[int]) -> dict[str, float]:
    ordered = sorted(took)
    return {
        "p50_ms": ordered[len(ordered) // 2] / 1e6,
        "p999_ms": ordered[int(len(ordered) * 0.999)] / 1e6,
        "max_ms": ordered[-1] / 1e6,
    }


if __name__ == "__main__":
    main()
