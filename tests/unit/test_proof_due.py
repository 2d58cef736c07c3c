"""Which hours want a proof, from totals and verdicts alone."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from assets.compaction.select import Policy
from assets.due import RETRY_AFTER
from assets.proof.due import PATIENCE, QUIET, Backlog, ProofCursor, _read, backlog, proof_request
from keystone_platform.gateways.iceberg_files import HourTotals
from keystone_platform.plan.hour_proof import HOUR, Standing, Verdict
from tests.contract.lake_tables import TEN
from tests.unit.test_warehouse_sensors import NOW, route
from tests.unit.test_warehouse_sensors import total as with_small_files

OVER = TEN + HOUR


def total(
    hour: datetime | None = TEN, rows: int = 100, changed_at: datetime | None = TEN + HOUR / 2, sequence: int = 3
) -> HourTotals:
    return HourTotals(hour, rows=rows, files=1, bytes=1000, changed_at=changed_at, sequence=sequence)


def verdict(standing: Standing = Standing.HOLDS, made_at: datetime = OVER + QUIET, rows: int = 100) -> Verdict:
    return Verdict(hour=TEN, made_at=made_at, standing=standing, rows=rows, sequence=3)


def due(at: datetime, found: HourTotals | None = None, known: Verdict | None = None) -> Backlog:
    return backlog([found or total()], {TEN: known} if known else {}, at, Policy())


def test_an_hour_is_due_when_it_is_over_and_quiet() -> None:
    ready = OVER + QUIET
    assert due(OVER) == Backlog((), ready)
    assert due(ready) == Backlog((total(),))
    busy = total(changed_at=OVER + HOUR)
    assert due(ready, busy) == Backlog((), OVER + HOUR + QUIET)
    assert due(ready, total(changed_at=None)).due


def test_a_proven_hour_is_due_again_when_it_got_rows_or_was_proven_before_it_was_over() -> None:
    assert due(NOW, known=verdict()) == Backlog(())
    assert due(NOW, total(rows=101), verdict()).due
    assert due(NOW, total(sequence=4), verdict()).due
    assert due(NOW, known=verdict(made_at=TEN + HOUR / 2)).due


def test_a_broken_hour_is_not_proven_over_and_over() -> None:
    assert due(NOW, known=verdict(Standing.BROKEN)) == Backlog(())
    assert due(NOW, known=verdict(Standing.EXPIRED)) == Backlog(())
    assert due(NOW, total(sequence=4), verdict(Standing.BROKEN)).due


def test_an_hour_whose_events_have_not_landed_is_looked_at_again_for_a_day() -> None:
    made = OVER + QUIET
    waiting = verdict(Standing.WAITING, made)
    assert due(made + RETRY_AFTER, known=waiting).due
    assert due(made, known=waiting) == Backlog((), made + RETRY_AFTER)
    assert due(NOW + PATIENCE, known=verdict(Standing.WAITING, OVER + PATIENCE)) == Backlog(())


def test_the_newest_hours_go_first_and_hours_that_will_be_compacted_are_left_to_that() -> None:
    hours = [total(TEN + number * HOUR, changed_at=None) for number in range(3)]
    small = with_small_files(TEN + 3 * HOUR, small=9)
    found = backlog([*hours, small, total(None)], {}, NOW, Policy())
    assert [each.hour for each in found.due] == [TEN + 2 * HOUR, TEN + HOUR, TEN]


def test_the_same_hour_is_asked_for_once_in_a_span_and_again_when_it_changed() -> None:
    def key(found: HourTotals, now: datetime) -> str | None:
        request = proof_request(route(), found, now)
        assert request is not None
        return request.run_key

    assert key(total(), NOW) == key(total(), NOW + timedelta(minutes=1))
    assert len({key(total(), NOW), key(total(), NOW + RETRY_AFTER), key(total(sequence=4), NOW)}) == 3
    assert proof_request(route(since="2026-11-02"), total(), NOW) is None


@pytest.mark.parametrize("nonsense", ["{", "[]", '{"tables": 3}'])
def test_a_cursor_that_is_nonsense_begins_anew(nonsense: str) -> None:
    assert _read(nonsense) == ProofCursor()
