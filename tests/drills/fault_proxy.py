"""A proxy before a server that fails on demand, as object stores and REST servers do.

It forwards bytes as they are, so signatures hold: the Host header that clients sign is the proxy's address.
"""

from __future__ import annotations

import asyncio
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from enum import Enum

from keystone_platform.stack.embedded import EmbeddedStack

_CHUNK = 64 * 1024


class Fault(Enum):
    """What clients meet.

    REFUSES is an answer to every request; RESETS breaks each connection when its request has begun; SLOW passes on
    a few kilobytes a second; LATE holds each request back for some seconds.
    """

    REFUSES_503 = 503
    FULL_507 = 507
    BROKEN_500 = 500
    RESETS = "resets"
    SLOW = "slow"
    LATE = "late"


_CODES = {
    Fault.REFUSES_503: ("503 Slow Down", "SlowDown"),
    Fault.FULL_507: ("507 Insufficient Storage", "InsufficientStorage"),
    Fault.BROKEN_500: ("500 Internal Server Error", "InternalError"),
}

SLOW_BYTES_PER_S = 16 * 1024

LATE_S = 5.0


class FaultProxy:
    """Listens on `port` of loopback and forwards to `behind`, in a thread of its own; faults begin and end at will.

    Attributes:
        met: how many requests or connections met each fault.
    """

    def __init__(self, port: int, behind: int) -> None:
        self.port, self.behind = port, behind
        self.met: Counter[Fault] = Counter()
        self._fault: Fault | None = None
        self._open: set[asyncio.StreamWriter] = set()
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._serve, name="fault-proxy", daemon=True)
        self._thread.start()
        assert self._ready.wait(10), "the proxy does not listen"

    @contextmanager
    def failing(self, fault: Fault) -> Iterator[None]:
        """Break what is open and let everything meet the fault until the block ends."""
        self._switch(fault)
        try:
            yield
        finally:
            self._switch(None)

    def close(self) -> None:
        """Stop listening and break what is open."""
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)

    def _switch(self, fault: Fault | None) -> None:
        def switch() -> None:
            self._fault = fault
            for writer in list(self._open):
                writer.transport.abort()

        self._loop.call_soon_threadsafe(switch)

    def _serve(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(asyncio.start_server(self._connected, "127.0.0.1", self.port))
        self._ready.set()
        self._loop.run_forever()
        for writer in list(self._open):
            writer.transport.abort()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._open.add(writer)
        try:
            if self._fault in _CODES:
                await self._refuse(self._fault, reader, writer)
            elif self._fault is Fault.RESETS:
                await reader.read(_CHUNK)
                self.met[Fault.RESETS] += 1
            else:
                await self._forward(reader, writer)
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            self._open.discard(writer)
            writer.transport.abort()

    async def _refuse(self, fault: Fault, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Take the request whole, as a server does, then answer with the error."""
        status, code = _CODES[fault]
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        if b"\r\nexpect: 100-continue" not in head:
            length = next((line for line in head.split(b"\r\n") if line.startswith(b"content-length:")), b":0")
            await reader.readexactly(int(length.split(b":")[1]))
        self.met[fault] += 1
        body = b"" if head.startswith(b"head") else f"<Error><Code>{code}</Code></Error>".encode()
        answer = f"HTTP/1.1 {status}\r\nContent-Type: application/xml\r\nContent-Length: {len(body)}\r\n"
        writer.write(answer.encode() + b"Connection: close\r\n\r\n" + body)
        await writer.drain()
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()

    async def _forward(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        behind_reader, behind_writer = await asyncio.open_connection("127.0.0.1", self.behind)
        self._open.add(behind_writer)
        try:
            await asyncio.wait(
                [
                    asyncio.create_task(self._pump(reader, behind_writer, to_server=True)),
                    asyncio.create_task(self._pump(behind_reader, writer, to_server=False)),
                ],
                return_when=asyncio.FIRST_COMPLETED,
            )
        finally:
            self._open.discard(behind_writer)
            behind_writer.transport.abort()

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, to_server: bool) -> None:
        with suppress(OSError):
            while data := await reader.read(_CHUNK):
                if self._fault is Fault.LATE and to_server:
                    self.met[Fault.LATE] += 1
                    await asyncio.sleep(LATE_S)
                if self._fault is Fault.SLOW:
                    self.met[Fault.SLOW] += 1
                    for start in range(0, len(data), SLOW_BYTES_PER_S):
                        await asyncio.sleep(1.0)
                        writer.write(data[start : start + SLOW_BYTES_PER_S])
                else:
                    writer.write(data)
                await writer.drain()


def behind_proxy(stack: EmbeddedStack, proxy: FaultProxy) -> None:
    """Let the object store listen behind the proxy when it starts; each `up` writes the usual configuration."""
    file = stack.home.folder / "s3" / "s3proxy.properties"
    file.write_text(file.read_text().replace(f":{proxy.port}\n", f":{proxy.behind}\n"))
