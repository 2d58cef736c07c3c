"""The store of proofs on a real database."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from keystone_platform.errors import Transient
from keystone_platform.gateways.proofs import KEPT, SqlProofs
from keystone_platform.plan.hour_proof import Comparison, Standing
from tests.unit.plan.test_hour_proof import HOUR, TEN, proof

TABLE = "events.playback"


@pytest.fixture
def proofs(tmp_path: Path) -> SqlProofs:
    return SqlProofs(f"sqlite:///{tmp_path}/ledger.db")


def test_the_newest_proof_of_an_hour_counts_whatever_order_they_are_written_in(proofs: SqlProofs) -> None:
    late, early = proof(made_at=TEN + 5 * HOUR, compared=Comparison(missing=1)), proof(made_at=TEN + 2 * HOUR)
    other = proof(table="events.other", made_at=TEN + 9 * HOUR)
    for each in (late, early, other, late):
        proofs.record(each)
    assert proofs.newest(TABLE, [TEN, TEN + HOUR]) == {TEN: late}
    assert proofs.history(TABLE, TEN) == (late, early)
    assert proofs.verdicts(TABLE) == {TEN: late.verdict}
    assert proofs.verdicts(TABLE)[TEN].standing is Standing.BROKEN
    assert proofs.verdicts("events.none") == {}


def test_an_hour_that_is_proven_over_and_over_does_not_fill_the_database(proofs: SqlProofs) -> None:
    for number in range(KEPT + 5):
        proofs.record(proof(made_at=TEN + timedelta(hours=2, minutes=number)))
    kept = proofs.history(TABLE, TEN)
    assert len(kept) == KEPT
    assert kept[0].made_at == TEN + timedelta(hours=2, minutes=KEPT + 4)


def test_years_of_hours_are_one_query(proofs: SqlProofs) -> None:
    hours = [TEN + number * HOUR for number in range(1200)]
    for hour in hours[:30]:
        proofs.record(proof(hour=hour, made_at=hour + 2 * HOUR))
    assert sorted(proofs.newest(TABLE, hours)) == hours[:30]
    assert len(proofs.verdicts(TABLE)) == 30


def test_a_database_that_is_gone_is_transient() -> None:
    with pytest.raises(Transient, match="does not answer"):
        SqlProofs("sqlite:////nowhere/ledger.db").verdicts(TABLE)


def test_a_ledger_that_was_moved_away_does_not_come_back_empty_by_a_proof(tmp_path: Path) -> None:
    file = tmp_path / "ledger.db"
    with pytest.raises(Transient, match="the ledger is gone"):
        SqlProofs(f"sqlite:///{file}", create=False).record(proof())
    assert not file.exists()
