"""Reads a request's body and stops where it gets too large: what is not taken is not held either."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from http import HTTPStatus


class Unread(Exception):
    """The body was not read to its end; the connection is of no further use.

    Attributes:
        status: what the client is answered.
        text: why.
    """

    def __init__(self, status: HTTPStatus, text: str) -> None:
        super().__init__(text)
        self.status = status
        self.text = text


class Room:
    """What bodies that are being read may take together, in bytes. For one event loop."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._taken = 0

    def take(self, size: int) -> None:
        """Take room, or raise Unread with 429 if there is none."""
        if self._taken + size > self._limit:
            raise Unread(HTTPStatus.TOO_MANY_REQUESTS, "too many large requests at once")
        self._taken += size

    def give_back(self, size: int) -> None:
        """Undo `take`."""
        self._taken -= size


async def read_body(headers: Mapping[str, str], chunks: AsyncIterator[bytes], most: int, room: Room) -> bytes:
    """Return the whole body.

    Raises:
        Unread: with 413 as soon as more than `most` bytes are announced or have come, with 415 for one that is
            compressed, with 429 when all requests together hold too much.
    """
    encoding = headers.get("content-encoding", "identity").strip().lower()
    if encoding not in ("identity", ""):
        text = f"content-encoding {encoding[:40]!r} is not taken: send the body as it is"
        raise Unread(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, text)
    announced = headers.get("content-length", "")
    if announced.isdecimal() and (len(announced) > 18 or int(announced) > most):
        raise _too_large(most)
    parts: list[bytes] = []
    taken = 0
    try:
        async for chunk in chunks:
            if taken + len(chunk) > most:
                raise _too_large(most)
            room.take(len(chunk))
            taken += len(chunk)
            parts.append(chunk)
        return b"".join(parts)
    finally:
        room.give_back(taken)


def _too_large(most: int) -> Unread:
    return Unread(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"more than {most:,} bytes")
