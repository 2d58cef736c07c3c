"""What follows from the counts of a proof."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from keystone_platform.plan.hour_proof import (
    Accounted,
    Comparison,
    HourProof,
    Identities,
    Span,
    Standing,
    Verdict,
    proven_until,
)
from keystone_platform.plan.produced import Produced

TEN = datetime(2026, 11, 1, 10, tzinfo=UTC)
HOUR = timedelta(hours=1)


def proof(**changes: object) -> HourProof:
    values: dict[str, object] = {
        "table": "events.playback",
        "hour": TEN,
        "made_at": TEN + 2 * HOUR,
        "plan_digest": "d",
        "snapshot_id": 2**62 + 1,
        "sequence": 7,
        "whole": True,
        "identities": Identities(rows=10),
    }
    return HourProof.model_validate(values | changes)


def verdict(hour: datetime, standing: Standing = Standing.HOLDS) -> Verdict:
    return Verdict(hour=hour, made_at=hour + 2 * HOUR, standing=standing, rows=1, sequence=1)


def test_each_kind_of_wrong_breaks_the_proof_and_is_named_with_its_number() -> None:
    assert proof().standing is Standing.HOLDS
    for wrong in (
        {"identities": Identities(duplicates=3)},
        {"compared": Comparison(missing=3)},
        {"compared": Comparison(unexpected=3)},
        {"compared": Comparison(different=3)},
        {"compared": Comparison(duplicates=3)},
        {"schema_differences": ("3 is no column",)},
    ):
        found = proof(**wrong)
        assert found.standing is Standing.BROKEN
        assert [text[:2] for text in found.findings] == ["3 "]


def test_what_expired_or_waits_is_neither_right_nor_wrong() -> None:
    gone = Span(topic="playback", partition=0, begin=5, end=9, expired=True)
    assert proof(spans=(gone,)).standing is Standing.EXPIRED
    assert proof(spans=(gone,), compared=Comparison(waiting=1)).standing is Standing.WAITING
    assert proof(spans=(gone,), compared=Comparison(waiting=1, missing=1)).standing is Standing.BROKEN


def test_a_proof_no_longer_covers_an_hour_that_got_or_lost_rows_or_other_files() -> None:
    found = proof().verdict
    assert found.covers(rows=10, sequence=7)
    assert not found.covers(rows=11, sequence=8)
    assert not found.covers(rows=9, sequence=6)
    assert not found.covers(rows=10, sequence=8)


def test_a_look_at_an_hour_that_was_not_over_proves_nothing() -> None:
    assert proof().verdict.holds
    assert not proof(made_at=TEN + HOUR / 2).verdict.holds


def test_the_first_hour_without_a_proof_that_holds_stops_the_watermark() -> None:
    hours = [TEN + number * HOUR for number in (0, 1, 5)]
    good = [(hour, verdict(hour)) for hour in hours]
    assert proven_until(good) == TEN + 6 * HOUR
    assert proven_until([good[0], (hours[1], None), good[2]]) == TEN + HOUR
    for standing in (Standing.BROKEN, Standing.WAITING):
        assert proven_until([(TEN, verdict(TEN, standing)), *good[1:]]) is None
    assert proven_until([(TEN, verdict(TEN, Standing.EXPIRED))]) == TEN + HOUR
    assert proven_until([]) is None


def test_a_proof_survives_being_written() -> None:
    found = proof(spans=(Span(topic="playback", partition=3, begin=1, end=4),), examples=("playback-3@2: lost",))
    assert HourProof.model_validate_json(found.model_dump_json()) == found


def test_what_kafka_has_deleted_is_told_with_the_standing() -> None:
    assert proof().told == "2026-11-01T10 holds"
    gone = Span(topic="playback", partition=0, begin=9, end=9, expired=True)
    found = proof(spans=(gone,), identities=Identities(rows=1_000, expired_rows=900))
    assert found.told == "2026-11-01T10 expired (Kafka no longer has 900 of its 1,000 rows)"


def test_what_producers_counted_stands_beside_the_proof_and_changes_it_not() -> None:
    counted = Produced(attempted=10, acknowledged=8, dropped={"queue_full": 1}, producers=2)
    assert (counted.dropped_total, counted.pending, counted.loss) == (1, 1, 0.1)
    for in_kafka, unacknowledged, lacking in ((8, 0, 0), (11, 3, 0), (5, -3, 3), (None, None, 0)):
        found = proof(accounted=Accounted(produced=counted, in_kafka=in_kafka))
        assert found.accounted is not None
        assert (found.accounted.unacknowledged, found.accounted.lacking) == (unacknowledged, lacking)
        assert found.standing is Standing.HOLDS
        assert HourProof.model_validate_json(found.model_dump_json()) == found
