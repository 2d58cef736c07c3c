"""Loads a gateway over keep-alive connections with requests made beforehand: as little work as a client can have."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

PAYLOAD_BYTES = 750


@dataclass(frozen=True)
class Load:
    """What was answered.

    Attributes:
        per_s: events a second.
        milliseconds: of each request, sorted.
    """

    per_s: float
    milliseconds: Sequence[float]

    def quantile(self, share: float) -> float:
        """Return the milliseconds that this share of the requests took at most."""
        return self.milliseconds[min(len(self.milliseconds) - 1, int(share * len(self.milliseconds)))]


def single_request(host: str, stream: str) -> bytes:
    """Return one event in binary mode."""
    attributes = f"ce-specversion: 1.0\r\nce-id: 1\r\nce-source: bench/load\r\nce-type: {stream}\r\n"
    return _request(host, stream, "application/json", attributes, _payload().encode())


def batch_request(host: str, stream: str, events: int) -> bytes:
    """Return a batch."""
    core = {"specversion": "1.0", "source": "bench/load", "type": stream}
    batch = [{**core, "id": str(number), "data": json.loads(_payload())} for number in range(events)]
    return _request(host, stream, "application/cloudevents-batch+json", "", json.dumps(batch).encode())


def run(url: str, request: bytes, requests: int, connections: int, events: int) -> Load:
    """Send the request so many times and return what it took; RuntimeError if one is not answered 200."""
    return asyncio.run(_run(url, request, requests, connections, events))


async def _run(url: str, request: bytes, requests: int, connections: int, events: int) -> Load:
    took: list[float] = []
    left = requests

    async def client() -> None:
        nonlocal left
        address = urlsplit(url)
        reader, writer = await asyncio.open_connection(address.hostname, address.port)
        while left > 0:
            left -= 1
            began = time.perf_counter()
            writer.write(request)
            head = await reader.readuntil(b"\r\n\r\n")
            if b" 200 " not in head[:16]:
                raise RuntimeError(head.decode())
            length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
            await reader.readexactly(length)
            took.append((time.perf_counter() - began) * 1000)
        writer.close()

    began = time.perf_counter()
    await asyncio.gather(*(client() for _ in range(connections)))
    return Load(requests * events / (time.perf_counter() - began), sorted(took))


def _payload() -> str:
    event = {"user_id": 1, "country": "US", "duration_ms": 5000}
    return json.dumps({**event, "padding": "x" * (PAYLOAD_BYTES - len(json.dumps(event)) - 15)})


def _request(host: str, stream: str, kind: str, attributes: str, body: bytes) -> bytes:
    head = f"POST /streams/{stream} HTTP/1.1\r\nhost: {host}\r\ncontent-type: {kind}\r\n{attributes}"
    return f"{head}content-length: {len(body)}\r\n\r\n".encode() + body
