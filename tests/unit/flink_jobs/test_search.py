"""The search sink without a server: what goes over the wire, what is read from answers, and how long it is patient."""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable, Sequence

import pandas as pd
import pytest

from flink_jobs.sinks import search
from flink_jobs.sinks.bulk import Fate, entry, outcomes, requests
from flink_jobs.sinks.search import Answer, BulkWriter, IndexDocuments, SearchConnection, SinkUnavailable

ENTRIES = [entry("plays-2026.11.22", f"id-{number}", json.dumps({"n": number})) for number in range(4)]


def ids(body: bytes) -> list[str]:
    """Return the ids of a request's documents."""
    return [json.loads(line)["index"]["_id"] for line in body.splitlines()[::2]]


def answer(*statuses: int, error: dict[str, object] | None = None) -> Answer:
    """A `_bulk` answer of these statuses."""
    told = error or {"type": "mapper_parsing_exception", "reason": "failed to parse field [n]"}
    items = [{"index": {"status": status, **({"error": told} if status >= 300 else {})}} for status in statuses]
    return Answer(200, json.dumps({"errors": any(status >= 300 for status in statuses), "items": items}).encode())


class Server:
    """Answers by a script, then takes everything; time passes only when the writer sleeps."""

    def __init__(self, *script: Answer | Callable[[bytes], Answer]) -> None:
        self.script = list(script)
        self.bodies: list[bytes] = []
        self.now = 0.0
        self.slept: list[float] = []

    def __call__(self, body: bytes) -> Answer:
        self.bodies.append(body)
        said = self.script.pop(0) if self.script else answer(*[201] * len(ids(body)))
        return said if isinstance(said, Answer) else said(body)

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds

    def write(self, entries: Sequence[bytes] = ENTRIES) -> list[str | None]:
        return BulkWriter(self, clock=lambda: self.now, sleep=self.sleep, jitter=lambda: 1.0).write(entries)


def test_an_id_with_quotes_and_line_ends_stays_one_line() -> None:
    body = entry("plays", 'a"\n{"delete":{}}\n', '{"n":1}')
    action, document, end = body.split(b"\n")
    assert json.loads(action) == {"index": {"_index": "plays", "_id": 'a"\n{"delete":{}}\n'}}
    assert (document, end) == (b'{"n":1}', b"")


def test_requests_keep_the_order_stay_below_the_limit_and_leave_nothing_out() -> None:
    entries = [b"x" * size for size in (3, 3, 3, 100, 1, 2)]
    assert list(requests(entries, range(6), limit=6)) == [[0, 1], [2], [3], [4, 5]]
    assert list(requests(entries, [1, 4], limit=6)) == [[1, 4]]
    assert list(requests(entries, [], limit=6)) == []


def test_a_document_that_is_refused_is_told_and_the_others_are_not_sent_again() -> None:
    server = Server(answer(201, 400, 200, 201))
    assert server.write() == [None, "rejected_by_sink: mapper_parsing_exception: failed to parse field [n]", None, None]
    assert (len(server.bodies), server.slept) == (1, [])


def test_of_a_partly_busy_answer_only_the_busy_documents_go_again() -> None:
    server = Server(answer(201, 429, 503, 201), answer(429, 201))
    assert server.write() == [None] * 4
    assert [ids(body) for body in server.bodies] == [["id-0", "id-1", "id-2", "id-3"], ["id-1", "id-2"], ["id-1"]]


@pytest.mark.parametrize("status", [0, 301, 401, 403, 404, 429, 500, 503])
def test_what_is_not_a_documents_fault_is_sent_again_not_buried(status: int) -> None:
    server = Server(Answer(status, b"<html>no</html>"))
    assert server.write() == [None] * 4
    assert len(server.bodies) == 2


@pytest.mark.parametrize("body", [b"", b"<html>", b"{}", b'{"errors": true, "items": [{"index": {"status": 400}}]}'])
def test_an_answer_that_is_none_counts_for_nothing(body: bytes) -> None:
    assert {outcome.fate for outcome in outcomes(body, 2)} == {Fate.AGAIN}


def test_waits_grow_to_their_bound_and_begin_anew_after_progress() -> None:
    busy = Answer(503, b"")
    server = Server(*[busy] * 8, answer(201, 429, 429, 429), busy)
    server.write()
    assert server.slept == [0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 10.0, 10.0, 0.2, 0.4]


def test_an_outage_longer_than_the_bound_ends_the_job_with_its_reason() -> None:
    server = Server(*[Answer(0, b"NewConnectionError: refused")] * 1_000)
    with pytest.raises(SinkUnavailable, match=r"took nothing for 240 s: no answer: NewConnectionError: refused"):
        server.write()
    assert search.PATIENCE_S < sum(server.slept) < search.PATIENCE_S + 2 * search.LONGEST_WAIT_S


@pytest.mark.parametrize("status", [400, 413])
def test_one_document_that_spoils_its_request_is_found(status: int) -> None:
    refusal = json.dumps({"error": {"type": "illegal_argument_exception", "reason": "id is too long"}}).encode()

    def refuse_the_third(body: bytes) -> Answer:
        return Answer(status, refusal) if "id-2" in ids(body) else answer(*[201] * len(ids(body)))

    server = Server(*[refuse_the_third] * 10)
    expected = f"rejected_by_sink: {status}: illegal_argument_exception: id is too long"
    assert server.write() == [None, None, expected, None]
    assert server.slept == []


def test_a_reason_does_not_quote_the_payload() -> None:
    error: dict[str, object] = {
        "type": "mapper_parsing_exception",
        "reason": "failed to parse field [n] in document with id 'x'. Preview of field's value: 's3cr3t'",
    }
    (told,) = Server(answer(400, error=error)).write(ENTRIES[:1])
    assert told is not None
    assert told.endswith("in document with id 'x'")


@pytest.mark.parametrize("index", ["plays", pd.Series(["plays", "plays"])])
def test_one_index_for_all_and_one_for_each_document_are_both_taken(
    index: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = Server()
    monkeypatch.setattr(search, "HttpPost", lambda _: server)
    function = IndexDocuments(SearchConnection("http://search:9200"))
    assert list(function(index, pd.Series(["a", "b"]), pd.Series(["{}", "{}"]))) == [None, None]
    assert [json.loads(line)["index"]["_index"] for line in server.bodies[0].splitlines()[::2]] == ["plays", "plays"]


def test_the_function_that_goes_into_the_job_holds_the_passwords_place_not_the_password(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("SEARCH_PASSWORD", "canary-7f3a")
    function = IndexDocuments(SearchConnection("http://search:9200", "keystone", "env:SEARCH_PASSWORD"))
    assert b"canary-7f3a" not in pickle.dumps(function)
