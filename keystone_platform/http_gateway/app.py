"""The gateway's routes. Whatever a client sends, the answer says what to do next; none of it is a 500."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Literal

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from keystone_platform.cloudevents.binary import read_binary
from keystone_platform.cloudevents.event import CloudEvent, Malformed
from keystone_platform.cloudevents.json_format import TooMany, read_batch, read_structured
from keystone_platform.http_gateway.access import Bearer
from keystone_platform.http_gateway.body import Room, Unread, read_body
from keystone_platform.http_gateway.handing import Handing
from keystone_platform.http_gateway.metrics import GatewayMetrics
from keystone_platform.http_gateway.outcomes import OK, REFUSALS, RETRY_AFTER_S, Outcome, batch_answer, overall
from keystone_platform.http_gateway.readiness import Probe, Readiness
from keystone_platform.producer import DropReason, KeystoneProducer
from keystone_platform.producer.client import EVENT_BYTES, FOLLOWED_BYTES, MAX_EVENT_BYTES

Mode = Literal["structured", "binary", "batched"]

MAX_DOCUMENT_BYTES = 16 * 1024 * 1024
"""Of a body in structured or batched mode: 10 MB in Base64 and its attributes fit."""

MAX_BATCH_EVENTS = 10_000
ROOM_BYTES = 256 * 1024 * 1024
"""What bodies that are being read may take together."""

READ_S = 60.0

_IN_A_THREAD_BYTES = 256 * 1024
"""A larger document is parsed beside the event loop, so that other requests are not held up for so long."""

_EVENT_TYPE, _BATCH_TYPE = "application/cloudevents+json", "application/cloudevents-batch+json"
_ANY_EVENT_TYPE = "application/cloudevents"


@dataclass(frozen=True)
class Bounds:
    """What a gateway takes.

    Attributes:
        buffer_bytes: of its producer; a request that would not fit is answered 429 or 503 at once.
        event_bytes: of a body in binary mode.
        document_bytes: of one in structured or batched mode.
        batch_events: of a batch.
        room_bytes: what bodies that are being read may take together.
        read_s: how long a body may take to come.
    """

    buffer_bytes: int
    event_bytes: int = MAX_EVENT_BYTES
    document_bytes: int = MAX_DOCUMENT_BYTES
    batch_events: int = MAX_BATCH_EVENTS
    room_bytes: int = ROOM_BYTES
    read_s: float = READ_S


class Gateway:
    """Takes events over HTTP.

    Args:
        producer: sends them; the gateway never closes it.
        probe: whether Kafka answers.
        bounds: what is taken.
        bearer: who may send; None: everybody who reaches the port.
    """

    def __init__(self, producer: KeystoneProducer, probe: Probe, bounds: Bounds, bearer: Bearer | None = None) -> None:
        self._producer = producer
        self._bounds = bounds
        self._bearer = bearer
        self._handing = Handing(producer)
        self._metrics = GatewayMetrics(producer)
        self._room = Room(bounds.room_bytes)
        self.readiness = Readiness(probe)

    def app(self) -> Starlette:
        """Return the ASGI application."""
        routes = [
            Route("/", self._take, methods=["POST"]),
            Route("/streams/{stream}", self._take, methods=["POST"]),
            Route("/healthz", self._healthz),
            Route("/readyz", self._readyz),
            Route("/metrics", self._tell_metrics),
        ]
        return Starlette(routes=routes, lifespan=self._lifespan, exception_handlers={HTTPException: _no_route})

    @asynccontextmanager
    async def _lifespan(self, _app: Starlette) -> AsyncIterator[None]:
        watching = asyncio.create_task(self.readiness.watch())
        yield
        watching.cancel()
        with suppress(asyncio.CancelledError):
            await watching

    async def _healthz(self, _request: Request) -> Response:
        return PlainTextResponse("ok\n")

    async def _readyz(self, _request: Request) -> Response:
        trouble = self.readiness.trouble
        return PlainTextResponse(f"{trouble or 'ok'}\n", HTTPStatus.SERVICE_UNAVAILABLE if trouble else OK)

    async def _tell_metrics(self, _request: Request) -> Response:
        return Response(self._metrics.text(), media_type="text/plain; version=0.0.4")

    async def _take(self, request: Request) -> Response:
        began = time.perf_counter()
        mode = _mode(request.headers.get("content-type", ""))
        try:
            response = await self._answer(request, mode)
        except Unread as error:
            if error.status in RETRY_AFTER_S:
                self._metrics.shed.inc()
            response = _refusal(error.status, error.text, {"connection": "close"})
        except ClientDisconnect:
            response = _refusal(HTTPStatus.BAD_REQUEST, "the client left before its body ended")
        except asyncio.CancelledError:  # told to stop, and the time for that is over: the answer is all that is left
            text = "the gateway stops; what was sent may arrive all the same"
            answer = {"error": DropReason.CLOSED.value, "text": text}
            response = _told(HTTPStatus.SERVICE_UNAVAILABLE, answer, {"connection": "close"})
        self._metrics.requests.labels(mode or "unknown", response.status_code).inc()
        self._metrics.seconds.labels(mode or "unknown").observe(time.perf_counter() - began)
        return response

    async def _answer(self, request: Request, mode: Mode | None) -> Response:
        if self._bearer and not self._bearer.lets_in(request.headers.get("authorization")):
            headers = {"www-authenticate": "Bearer", "connection": "close"}
            return _refusal(HTTPStatus.UNAUTHORIZED, "a bearer token is asked for", headers)
        if mode is None:
            text = f"of CloudEvents' own media types {_EVENT_TYPE} and {_BATCH_TYPE} are taken"
            return _refusal(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, text, {"connection": "close"})
        most = self._bounds.event_bytes if mode == "binary" else self._bounds.document_bytes
        try:
            async with asyncio.timeout(self._bounds.read_s):
                body = await read_body(request.headers, request.stream(), most, self._room)
        except TimeoutError:
            text = f"the body did not come within {self._bounds.read_s:.0f} s"
            raise Unread(HTTPStatus.REQUEST_TIMEOUT, text) from None
        self._metrics.body_bytes.inc(len(body))
        try:
            read = await self._read(request, mode, body)
        except Malformed as error:
            self._metrics.malformed.inc()
            outcome = Outcome.malformed(error)
            return _told(outcome.status, outcome.answer)
        except TooMany as error:
            return _refusal(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, str(error))
        if not self._has_room(read):
            self._metrics.shed.inc()
            status = HTTPStatus.TOO_MANY_REQUESTS if self.readiness.kafka_answers else HTTPStatus.SERVICE_UNAVAILABLE
            return _refusal(status, "the buffer is full: Kafka is slower than what is sent, or away")
        outcomes = await self._outcomes(request.path_params.get("stream"), read)
        if mode == "batched":
            return _told(overall(outcomes), batch_answer(outcomes))
        return _told(outcomes[0].status, outcomes[0].answer)

    async def _read(self, request: Request, mode: Mode, body: bytes) -> Sequence[CloudEvent | Malformed]:
        if mode == "binary":
            return [read_binary(request.headers.raw, body)]
        if len(body) > _IN_A_THREAD_BYTES:
            return await asyncio.to_thread(self._read_document, mode, body)
        return self._read_document(mode, body)

    def _read_document(self, mode: Mode, body: bytes) -> Sequence[CloudEvent | Malformed]:
        if mode == "batched":
            return read_batch(body, self._bounds.batch_events)
        return [read_structured(body)]

    def _has_room(self, read: Sequence[CloudEvent | Malformed]) -> bool:
        """Whether the producer can take all of it now; what is larger than the buffer it refuses by itself."""
        events = [each for each in read if isinstance(each, CloudEvent)]
        size = sum(len(event.payload) + EVENT_BYTES + FOLLOWED_BYTES for event in events)
        return self._producer.buffer_bytes + min(size, self._bounds.buffer_bytes // 2) <= self._bounds.buffer_bytes

    async def _outcomes(self, stream: str | None, read: Sequence[CloudEvent | Malformed]) -> list[Outcome]:
        events = [each for each in read if isinstance(each, CloudEvent)]
        deliveries = iter(await self._handing.send(stream, events))
        self._metrics.malformed.inc(len(read) - len(events))
        return [
            Outcome.malformed(each) if isinstance(each, Malformed) else Outcome.of(next(deliveries)) for each in read
        ]


def _mode(content_type: str) -> Mode | None:
    """Return how the request carries events; None if it is in a format of CloudEvents that is not spoken here."""
    kind = content_type.partition(";")[0].strip().lower()
    if kind == _EVENT_TYPE:
        return "structured"
    if kind == _BATCH_TYPE:
        return "batched"
    return None if kind.startswith(_ANY_EVENT_TYPE) else "binary"


def _told(status: HTTPStatus, answer: Mapping[str, Any], headers: Mapping[str, str] | None = None) -> Response:
    wait = {"retry-after": str(RETRY_AFTER_S[status])} if status in RETRY_AFTER_S else {}
    return JSONResponse(answer, status, {**wait, **(headers or {})})


def _refusal(status: HTTPStatus, text: str, headers: Mapping[str, str] | None = None) -> Response:
    """Return the answer to a request of which nothing was sent on."""
    return _told(status, {"error": REFUSALS.get(status, "not_allowed"), "text": text}, headers)


async def _no_route(_request: Request, error: Exception) -> Response:
    status = HTTPStatus(error.status_code) if isinstance(error, HTTPException) else HTTPStatus.NOT_FOUND
    headers = error.headers if isinstance(error, HTTPException) else None
    return _refusal(status, "events go to POST /streams/STREAM, or to POST / with the stream as their type", headers)
