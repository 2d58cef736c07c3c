"""Letters as values: what is read off a record, how it is shown, what is counted, which were replayed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from keystone_platform import envelope
from keystone_platform.audit.records import Record
from keystone_platform.dead_letters.letter import UNKNOWN, DeadLetter, Position, read_letter
from keystone_platform.dead_letters.replay import ReplayCounts, ReplayVerdict, together
from keystone_platform.dead_letters.replayed import Positions
from keystone_platform.dead_letters.scan import Selection
from keystone_platform.dead_letters.sending import replayed_headers
from keystone_platform.dead_letters.summary import Summary
from keystone_platform.dead_letters.text import as_json, shown
from keystone_platform.gateways.kafka import Offsets
from tests.unit.flink_jobs.plans import on_two_clusters, warehouse

DIED = datetime(2026, 11, 1, 12, tzinfo=UTC)

HEADERS: Mapping[str, bytes | None] = {
    envelope.CE_ID: b"guid-7",
    "mine": b"\xff",
    envelope.DLQ_CODE: b"wrong_type",
    envelope.DLQ_TEXT: b"n: expected bigint, got string",
    envelope.DLQ_TIME: b"2026-11-01T12:00:00.000Z",
    envelope.DLQ_ROUTE: b"plays.warehouse",
    envelope.DLQ_DIGEST: b"d1",
    envelope.DLQ_TOPIC: b"plays",
    envelope.DLQ_PARTITION: b"3",
    envelope.DLQ_OFFSET: b"7",
}


def record(payload: bytes | None = b'{"n": "7"}', **changed: bytes | None) -> Record:
    headers = {**HEADERS, **changed}
    kept = {name: value for name, value in headers.items() if value is not None}
    return Record(0, 40, payload, kept, b"key", 1_761_998_400_000)


def letter(offset: int = 7, **changed: object) -> DeadLetter:
    read = read_letter("plays.dlq", record())
    assert read is not None
    return replace(read, source=Position("plays", 3, offset), **changed)  # type: ignore[arg-type]


def test_a_letter_is_read_off_its_headers_alone() -> None:
    read = read_letter("plays.dlq", record())
    assert read is not None
    assert (str(read.at), str(read.source)) == ("plays.dlq:0:40", "plays:3:7")
    assert (read.route, read.code, read.digest, read.died_at) == ("plays.warehouse", "wrong_type", "d1", DIED)
    assert (read.guid, read.key, read.payload) == ("guid-7", b"key", b'{"n": "7"}')
    assert dict(read.headers) == {envelope.CE_ID: b"guid-7", "mine": b"\xff"}


@pytest.mark.parametrize(
    "missing", [envelope.DLQ_ROUTE, envelope.DLQ_TOPIC, envelope.DLQ_PARTITION, envelope.DLQ_OFFSET]
)
def test_a_record_that_no_router_wrote_is_no_letter(missing: str) -> None:
    assert read_letter("plays.dlq", record(**{missing: None})) is None


def test_a_letter_of_an_unreadable_place_is_none_and_one_without_a_reason_is_kept() -> None:
    assert read_letter("plays.dlq", record(**{envelope.DLQ_OFFSET: b"seven"})) is None
    bare = read_letter("plays.dlq", record(**{envelope.DLQ_CODE: None, envelope.DLQ_TIME: b"noon"}))
    assert bare is not None
    assert (bare.code, bare.died_at) == (UNKNOWN, None)


def test_a_replayed_event_has_its_own_headers_and_where_it_comes_from() -> None:
    assert replayed_headers(letter()) == {
        envelope.CE_ID: b"guid-7",
        "mine": b"\xff",
        envelope.REPLAY_LETTER: b"plays.dlq:0:40",
        envelope.REPLAY_SOURCE: b"plays:3:7",
    }


def test_a_position_is_read_back_whatever_its_topic_is_called() -> None:
    position = Position("a.b-c_d.replay.warehouse", 3, 2**40)
    assert Position.parse(str(position)) == position
    with pytest.raises(ValueError, match="not enough values"):
        Position.parse("")


def test_each_route_is_given_a_position_once_and_other_routes_still_are() -> None:
    seen = Positions()
    assert [seen.add(route, Position("plays", 0, 1)) for route in ("a", "a", "b")] == [True, False, True]
    seen.close()


@pytest.mark.parametrize(
    ("selection", "taken"),
    [
        (Selection(), True),
        (Selection(route="plays.warehouse", code="wrong_type", since=DIED), True),
        (Selection(route="plays.search"), False),
        (Selection(code="not_json"), False),
        (Selection(since=DIED + timedelta(seconds=1)), False),
    ],
)
def test_only_letters_that_are_meant_are_taken(selection: Selection, taken: bool) -> None:
    assert selection.takes(letter()) is taken


def test_the_newest_letters_are_read_from_the_end_of_each_partition() -> None:
    span = Selection(last=10).span(Offsets(begin={0: 0, 1: 95}, end={0: 50, 1: 100}))
    assert (span.begin, span.end) == ({0: 40, 1: 95}, {0: 50, 1: 100})


@pytest.mark.parametrize(
    ("payload", "text"),
    [
        (None, "no value"),
        (b"", ""),
        ("größer".encode(), "größer"),
        (b"\xff\x00", "0xff00"),
        (b"\x1b[2J\x07", "\\x1b[2J\\x07"),
        ("a\u202eb".encode(), "a\\u202eb"),
    ],
)
def test_a_payload_is_shown_without_obeying_it(payload: bytes | None, text: str) -> None:
    assert shown(payload) == text


@pytest.mark.parametrize("payload", [b"x" * 5_000, b"\xff" * 5_000, "ü".encode() * 2_500, b"x" * 4_999 + b"\xff"])
def test_a_long_payload_is_cut_and_its_size_told(payload: bytes) -> None:
    assert len(shown(payload)) < 240
    assert shown(payload).endswith("… (5,000 bytes)")


def test_json_holds_bytes_that_are_no_text() -> None:
    told = as_json(letter(payload=b"\xff\xfe"))
    assert told["payload"] == {"base64": "//4="}
    assert (told["key"], told["headers"]["mine"]) == ("key", {"base64": "/w=="})


def test_letters_add_up_by_route_and_reason_and_the_newest_are_kept() -> None:
    summary = Summary({"plays": Offsets(begin={3: 5}, end={3: 25})}, limit=2)
    summary.add([letter(1), letter(6), letter(7, code="not_json", died_at=DIED - timedelta(hours=1))])
    summary.add([letter(8, died_at=DIED + timedelta(hours=1))])
    first, second = summary.tallies
    assert (summary.letters, first.code, first.letters, second.code) == (4, "wrong_type", 3, "not_json")
    assert (first.oldest, first.newest) == (DIED, DIED + timedelta(hours=1))
    assert summary.share(first) == 2 / 20, "offset 1 is not held any more"
    assert [each.source.offset for each in summary.newest] == [8, 7]


def test_no_letter_is_kept_when_none_is_to_be_shown() -> None:
    summary = Summary({"plays": Offsets(begin={}, end={})}, limit=0)
    summary.add([letter()])
    assert (summary.newest, summary.letters, summary.share(summary.tallies[0])) == ((), 1, None)


def test_replays_on_two_clusters_are_told_as_one() -> None:
    primary, standby = (
        ReplayVerdict(begin={"plays.replay.x": {0: 1}}),
        ReplayVerdict(begin={"b.plays.replay.x": {0: 2}}),
    )
    primary.routes["plays.x"] = ReplayCounts("plays.x", letters=3, sent=2, cut=1)
    standby.routes["plays.x"] = ReplayCounts("plays.x", letters=4, sent=4)
    standby.strangers["plays.y"] = 5
    whole = together([primary, standby])
    assert whole.routes == {"plays.x": ReplayCounts("plays.x", letters=7, sent=6, cut=1)}
    assert (whole.strangers, whole.sent) == ({"plays.y": 5}, 6)
    assert whole.begin == {"plays.replay.x": {0: 1}, "b.plays.replay.x": {0: 2}}


def test_the_letters_of_a_cluster_that_answers_are_found_without_asking_the_one_that_is_away() -> None:
    plan = on_two_clusters(warehouse())
    assert plan.letters_of(["kafka-b.playback.replay.warehouse"]) == ("kafka-b.playback.dlq",)
    assert plan.letters_of(["playback"]) == ("playback.dlq",)
    assert plan.letters_of(plan.source.topics) == plan.dead_letter_topics
    assert warehouse().letters_of(["playback"]) == ("playback.dlq",)
