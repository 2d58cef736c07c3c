"""Events of the router's benchmark: each shape's schema, and payloads that fit it."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from random import Random
from typing import Any

from confluent_kafka import Producer

from keystone_platform.envelope import CE_ID, CE_SOURCE, CE_SPECVERSION, CE_TIME, CE_TYPE

VARIANTS = 20_000
"""Distinct documents a shape; an event is one of them with an id of its own."""

_COUNTRIES = ("US", "BR", "DE", "JP", "IN", "MX", "FR", "KR")
_DEVICES = ("tv", "phone", "tablet", "web", "console")

Document = dict[str, Any]


def nine_columns(random: Random) -> Document:
    """Return a document of 9 fields and about 750 bytes."""
    return {
        "user_id": random.getrandbits(40),
        "session_id": str(uuid.UUID(int=random.getrandbits(128))),
        "country": random.choice(_COUNTRIES),
        "device": random.choice(_DEVICES),
        "duration_ms": int(random.expovariate(1 / 60_000)),
        "bitrate": round(random.random() * 20_000, 3),
        "started_at": _time(random),
        "url": f"/titles/{random.getrandbits(32)}/watch?track={random.getrandbits(64):x}&{_words(random, 160)}",
        "message": _words(random, 250),
    }


def hundred_columns(random: Random) -> Document:
    """Return a document of 100 fields and about 4 KB, of every kind that JSON has."""
    document: Document = {}
    for number in range(100):
        kind = number % 5
        name = f"field_{number:02}_{('id', 'name', 'score', 'flag', 'context')[kind]}"
        if kind == 0:
            document[name] = random.getrandbits(40)
        elif kind == 1:
            document[name] = _words(random, 40)
        elif kind == 2:
            document[name] = round(random.random() * 1000, 6)
        elif kind == 3:
            document[name] = random.random() < 0.5
        else:
            document[name] = {"kind": random.choice(_DEVICES), "codes": [random.randint(0, 99) for _ in range(5)]}
    return document


def _time(random: Random) -> str:
    seconds = random.randint(0, 86_399)
    clock = f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}"
    return f"2026-11-{random.randint(1, 28):02}T{clock}.{random.randint(0, 999):03}Z"


def _words(random: Random, length: int) -> str:
    # words are 3 to 8 letters long and a space
    return " ".join(random.choices(_VOCABULARY, k=length // 4))[:length]


_VOCABULARY = tuple(f"{Random(seed).getrandbits(30):x}"[: 3 + seed % 6] for seed in range(3000))


@dataclass(frozen=True)
class Events:
    """A topic's worth of events."""

    topic: str
    document: Callable[[Random], Document]
    count: int


def produce(kafka: Mapping[str, str], events: Events) -> int:
    """Send the events, acknowledged, as Keystone's producers send them; returns the payloads' mean size in bytes."""
    producer = Producer(
        {
            **kafka,
            "compression.type": "lz4",
            "linger.ms": 50,
            "batch.size": 1 << 20,
            "queue.buffering.max.messages": 500_000,
        }
    )
    size = 0
    for payload, headers in _records(events):
        size += len(payload)
        while True:
            try:
                producer.produce(events.topic, payload, headers=headers)
                break
            except BufferError:
                producer.poll(0.1)
        producer.poll(0)
    if producer.flush(120):
        message = f"{events.topic}: not all events were acknowledged"
        raise RuntimeError(message)
    return size // events.count


def _records(events: Events) -> Iterator[tuple[bytes, list[tuple[str, bytes]]]]:
    random = Random(events.topic)
    payloads = [json.dumps(events.document(random), separators=(",", ":")).encode() for _ in range(VARIANTS)]
    now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()).encode()
    fixed = [
        (CE_SPECVERSION, b"1.0"),
        (CE_TYPE, events.topic.encode()),
        (CE_TIME, now),
    ]
    for number in range(events.count):
        guid = f"019a{number:08x}-7000-8000-{random.getrandbits(48):012x}".encode()
        host = b"host-%d/player" % (number % 50)
        yield payloads[int(random.random() * VARIANTS)], [*fixed, (CE_ID, guid), (CE_SOURCE, host)]
