from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace

import duckdb
import pytest

from keystone_platform.audit.expectation import Expectation, create_expected
from keystone_platform.audit.passed_on import MATCH, PassedOn
from keystone_platform.audit.records import Record
from keystone_platform.plan.plan_router import plan_router
from keystone_platform.plan.router_plan import KafkaTarget, RouterPlan
from keystone_platform.spec.models import StreamSpec


def plan(key: str = "keep", **route: object) -> RouterPlan:
    stream = StreamSpec.model_validate(
        {
            "stream": "s",
            "owner": "team:tests",
            "schema": {"n": "bigint", "at": "timestamp", "device": {"type": "string"}},
            "routes": [{"sink": {"kafka": {"topic": "out", "key": key}}, **route}],
        }
    )
    return plan_router(stream, stream.routes[0])


def event(offset: int, value: bytes | None = b"any", guid: str | None = None) -> Record:
    headers = {"ce_id": guid.encode()} if guid else {}
    return Record(0, offset, value, {"a": b"1", **headers}, b"key", 1_000 + offset)


def landed(plan: RouterPlan, source: Sequence[Record], found: Sequence[Record]) -> list[tuple[int, int]]:
    """Return the places of the events that the records of the target topic are taken for, in order."""
    assert isinstance(plan.target, KafkaTarget)
    with duckdb.connect() as session:
        create_expected(session)
        session.execute("CREATE TABLE found (guid VARCHAR, mark UBIGINT)")
        session.execute('CREATE TABLE landed (topic VARCHAR, part INT, "offset" INT)')
        Expectation(session, plan).add(plan.source.topic, source)
        passed_on = PassedOn(plan, plan.target)
        session.register("batch", passed_on.table(found))
        session.execute(f"INSERT INTO found SELECT _guid, {passed_on.found} FROM batch")
        session.execute(MATCH)
        return sorted(session.execute('SELECT part, "offset" FROM landed').fetchall())


def test_untouched_events_are_found_with_and_without_a_guid() -> None:
    source = [event(0, guid="g"), event(1), event(2, None), event(3, b"")]
    assert landed(plan(), source, source) == [(0, 0), (0, 1), (0, 2), (0, 3)]


@pytest.mark.parametrize(
    "change",
    [{"value": b"other"}, {"value": None}, {"key": None}, {"timestamp_ms": 7}, {"headers": {"ce_id": b"g", "a": b"2"}}],
    ids=lambda change: next(iter(change)),
)
def test_an_event_that_was_changed_on_the_way_is_lost_and_what_is_there_unexpected(change: dict[str, object]) -> None:
    source = event(0, guid="g")
    assert landed(plan(), [source], [replace(source, **change)]) == [(-1, 1)]


def test_records_of_others_in_the_topic_are_not_counted() -> None:
    assert landed(plan(), [event(0, guid="g")], [event(9, guid="other"), event(9)]) == []


def test_equal_events_are_each_found_and_only_more_than_sent_are_duplicates() -> None:
    twice = [event(0), replace(event(0), offset=1)]
    assert landed(plan(), twice, twice) == [(0, 0), (0, 1)]
    assert landed(plan(), twice, [*twice, twice[0]]) == [(0, 0), (0, 0), (0, 1)]
    assert landed(plan(), twice, twice[:1]) == [(0, 0)]


def test_a_header_without_value_is_not_missed_since_no_route_passes_it_on() -> None:
    source = event(0, guid="g")
    sent = replace(source, headers={**source.headers, "nothing": None})
    assert landed(plan(), [sent], [source]) == [(0, 0)]


def test_selected_columns_are_compared_by_value_not_by_spelling() -> None:
    chosen = plan("device.type", select=["n", {"kind": "device.type"}, "at"])
    payload = {"n": 7, "at": "2026-03-01T12:00:00+02:00", "device": {"type": "tv"}, "more": 1}
    source = event(0, json.dumps(payload).encode(), "g")
    document = b'{"kind": "\\u0074v", "n": 7, "at": "2026-03-01T10:00:00.000Z"}'
    right = replace(source, value=document, key=b"tv")
    assert landed(chosen, [source], [right]) == [(0, 0)]
    assert landed(chosen, [source], [replace(right, value=document.replace(b"7", b"8"))]) == [(-1, 1)]
    assert landed(chosen, [source], [replace(right, value=b"no json")]) == [(-1, 1)]
    assert landed(chosen, [source], [replace(right, key=b"key")]) == [(-1, 1)]


def test_an_event_that_the_filter_drops_is_unexpected_where_it_is_found() -> None:
    dropped = plan(filter="n > 5")
    source = event(0, b'{"n": 1}', "g")
    assert landed(dropped, [source], [source]) == [(-1, 1)]
