"""The wire format of `_bulk` (OpenSearch, Elasticsearch): pure, and quick to import in a Python worker.

https://docs.opensearch.org/2.19/api-reference/document-apis/bulk/
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import Enum

REJECTED_CODE = "rejected_by_sink"
"""Code of a dead letter that the search cluster did not take."""

_LONGEST_REASON = 400

_PREVIEW = ". Preview of field's value"
"""From here on the server quotes the payload, which no reason of a dead letter does."""

_NOT_THE_DOCUMENTS_FAULT = frozenset((401, 403, 404, 408, 429))
"""Of the 4xx: no right to write, a blocked index, no such index, too slow, too busy. A person or time mends these."""


class Fate(Enum):
    """What became of a document."""

    INDEXED = "indexed"
    REJECTED = "rejected"
    AGAIN = "again"
    """Not now: it has to be sent again."""


@dataclass(frozen=True)
class Outcome:
    """A document's fate; `reason` is empty when it is indexed."""

    fate: Fate
    reason: str = ""


INDEXED = Outcome(Fate.INDEXED)


def entry(index: str, identity: str, source: str) -> bytes:
    """Return one document as two lines. `index` as operation: the same event sent twice leaves one document."""
    action = json.dumps({"index": {"_index": index, "_id": identity}})
    return f"{action}\n{source}\n".encode()


def requests(entries: Sequence[bytes], chosen: Sequence[int], limit: int) -> Iterator[list[int]]:
    """Split the chosen entries, in order, into requests of at most `limit` bytes; a larger one goes alone."""
    request: list[int] = []
    size = 0
    for number in chosen:
        if request and size + len(entries[number]) > limit:
            yield request
            request, size = [], 0
        request.append(number)
        size += len(entries[number])
    if request:
        yield request


def fate_of(status: int) -> Fate:
    """Return what an HTTP status, of a request or of one of its documents, says of the documents it stands for."""
    if 200 <= status < 300:
        return Fate.INDEXED
    is_document = 400 <= status < 500 and status not in _NOT_THE_DOCUMENTS_FAULT
    return Fate.REJECTED if is_document else Fate.AGAIN


def outcomes(body: bytes, count: int) -> list[Outcome]:
    """Return each document's outcome from the answer to a request that was taken.

    An answer that is none (a proxy's page, another number of documents) says nothing: all have to be sent again.
    """
    try:
        answer = json.loads(body)
        if answer["errors"] is False:
            return [INDEXED] * count
        found = [_outcome(item["index"]) for item in answer["items"]]
    except (ValueError, KeyError, TypeError) as error:
        return [Outcome(Fate.AGAIN, f"no answer of _bulk: {error}")] * count
    if len(found) != count:
        return [Outcome(Fate.AGAIN, f"{len(found)} outcomes for {count} documents")] * count
    return found


def reason_of(body: bytes) -> str:
    """Return why a whole request was refused, as far as its body says."""
    try:
        return _reason(json.loads(body)["error"])
    except (ValueError, KeyError, TypeError):
        return body[:100].decode(errors="replace")


def _outcome(item: dict[str, object]) -> Outcome:
    status = item["status"]
    if not isinstance(status, int):
        raise TypeError
    fate = fate_of(status)
    return INDEXED if fate is Fate.INDEXED else Outcome(fate, _reason(item["error"]))


def _reason(error: object) -> str:
    """Return `type: reason` and what caused it, in a line that quotes nothing of the payload."""
    if not isinstance(error, dict):
        return str(error)[:_LONGEST_REASON]
    told = f"{error.get('type')}: {error.get('reason')}"
    return " ".join(told.split(_PREVIEW)[0].split())[:_LONGEST_REASON]
