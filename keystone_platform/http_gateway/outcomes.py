"""What a client is answered, so that it can act on the status alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from keystone_platform.cloudevents.event import Malformed
from keystone_platform.producer import Delivery, DropReason

OK = HTTPStatus.OK
MALFORMED = "malformed"
"""What is told instead of a DropReason of an event that is none."""

STATUS: Mapping[DropReason, HTTPStatus] = {
    DropReason.QUEUE_FULL: HTTPStatus.TOO_MANY_REQUESTS,
    DropReason.TOO_LARGE: HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    DropReason.TIMED_OUT: HTTPStatus.SERVICE_UNAVAILABLE,
    DropReason.REFUSED: HTTPStatus.SERVICE_UNAVAILABLE,
    DropReason.CLOSED: HTTPStatus.SERVICE_UNAVAILABLE,
    DropReason.NO_CLUSTER: HTTPStatus.SERVICE_UNAVAILABLE,
    DropReason.NOT_BYTES: HTTPStatus.BAD_REQUEST,
    DropReason.BAD_TIME: HTTPStatus.BAD_REQUEST,
    DropReason.BAD_ATTRIBUTE: HTTPStatus.BAD_REQUEST,
    DropReason.UNKNOWN_STREAM: HTTPStatus.NOT_FOUND,
    DropReason.INVALID: HTTPStatus.UNPROCESSABLE_ENTITY,
}
"""Of a dropped event."""

REFUSALS: Mapping[HTTPStatus, str] = {
    HTTPStatus.BAD_REQUEST: MALFORMED,
    HTTPStatus.UNAUTHORIZED: "unauthorized",
    HTTPStatus.NOT_FOUND: "not_found",
    HTTPStatus.REQUEST_TIMEOUT: "request_timeout",
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: DropReason.TOO_LARGE.value,
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE: "unsupported_media_type",
    HTTPStatus.TOO_MANY_REQUESTS: DropReason.QUEUE_FULL.value,
    HTTPStatus.SERVICE_UNAVAILABLE: DropReason.QUEUE_FULL.value,
}
"""What is told of a request of which nothing was attempted."""

RETRY_AFTER_S: Mapping[HTTPStatus, int] = {
    HTTPStatus.TOO_MANY_REQUESTS: 1,
    HTTPStatus.SERVICE_UNAVAILABLE: 5,
}
"""Seconds after which the same request may succeed; of every other status it never will."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one event.

    Attributes:
        status: as if it had come alone.
        answer: the same for programs: `guid`, `stream`, `cluster`, `partition`, `offset` of one that Kafka has; else
            `error`, a DropReason's value or MALFORMED, `text` and, where it is one, `place`.
    """

    status: HTTPStatus
    answer: Mapping[str, Any]

    @classmethod
    def of(cls, delivery: Delivery) -> Outcome:
        """Return the outcome of an event that the producer was handed."""
        about = {"guid": delivery.guid, "stream": delivery.stream}
        if delivery.dropped is None:
            place = {"cluster": delivery.cluster, "partition": delivery.partition, "offset": delivery.offset}
            return cls(OK, {**about, **place})
        return cls(STATUS[delivery.dropped], {**about, "error": delivery.dropped.value, "text": delivery.text})

    @classmethod
    def malformed(cls, error: Malformed) -> Outcome:
        """Return the outcome of what is no event."""
        where = {"place": error.place} if error.place else {}
        return cls(HTTPStatus.BAD_REQUEST, {"error": MALFORMED, **where, "text": error.text})


def overall(outcomes: Sequence[Outcome]) -> HTTPStatus:
    """Return the status of a batch: 200 only when Kafka has every event.

    Where sending again may help, the status says so even if other events are at fault: a client that only looks at the
    status sends the batch again, under the same ids. Where several are at fault in different ways it is 400.
    """
    found = {outcome.status for outcome in outcomes if outcome.status is not OK}
    if not found:
        return OK
    for status in (HTTPStatus.SERVICE_UNAVAILABLE, HTTPStatus.TOO_MANY_REQUESTS):
        if status in found:
            return status
    return found.pop() if len(found) == 1 else HTTPStatus.BAD_REQUEST


def batch_answer(outcomes: Sequence[Outcome]) -> Mapping[str, Any]:
    """Return the body that tells each event's outcome, in the order of the batch."""
    acknowledged = sum(outcome.status is OK for outcome in outcomes)
    events = [{"status": outcome.status.value, **outcome.answer} for outcome in outcomes]
    return {"acknowledged": acknowledged, "failed": len(outcomes) - acknowledged, "events": events}
