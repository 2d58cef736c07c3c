"""Each thing that can be wrong with an hour is told for what it is, with its number: real broker, real table."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from keystone_platform.gateways.iceberg_files import live_entries
from keystone_platform.gateways.lake import IcebergLake
from keystone_platform.plan.hour_proof import Standing
from tests.contract.lake_tables import ELEVEN, TEN
from tests.contract.proof_world import TABLE, Event, World, new_world

pytestmark = pytest.mark.stack

NEXT = TEN + timedelta(hours=2)


@pytest.fixture
def world(kafka_properties: Mapping[str, str], tmp_path: Path) -> World:
    """Two partitions: 10 events kept in each, 5 filtered out in the first; in the next hour one more each, landed."""
    world = new_world(kafka_properties, tmp_path)
    world.produce(5, country="BR")
    return _begun(world)


@pytest.fixture
def unfiltered(kafka_properties: Mapping[str, str], tmp_path: Path) -> World:
    """The same without a filter."""
    return _begun(new_world(kafka_properties, tmp_path, condition=None))


def _begun(world: World) -> World:
    for partition in (0, 1):
        world.produce(10, partition=partition)
    return world


def finish(world: World) -> None:
    """Let a later event land in each partition: what is missing before it is lost, not late."""
    world.land([place for part in (0, 1) for place in world.produce(1, at=ELEVEN, partition=part)])


def kept(world: World) -> list[tuple[int, int]]:
    return [place for place, event in world.events.items() if event.country == "US" and event.at < ELEVEN]


def test_an_hour_in_which_all_is_right_holds_and_its_counts_add_up(world: World) -> None:
    world.land(kept(world))
    finish(world)
    proof = world.prove()
    assert proof.standing is Standing.HOLDS, proof.examples
    compared = proof.compared
    assert (compared.read, compared.landed, compared.filtered, compared.dead) == (25, 20, 5, 0)
    assert compared.checksum_events == compared.checksum_rows != "0" * 16
    assert (proof.identities.rows, proof.identities.duplicates, proof.identities.gaps) == (20, 0, None)
    assert [(span.partition, span.begin, span.end) for span in proof.spans] == [(0, 0, 15), (1, 0, 10)]
    assert proof.verdict.holds


def test_a_data_file_that_is_gone_breaks_the_hours_that_have_to_read_it_and_is_named(world: World) -> None:
    world.land(kept(world))
    finish(world)
    table = IcebergLake(world.settings).load(TABLE)
    (gone,) = (entry.data_file for entry in live_entries(table, {TEN}))
    Path(urlsplit(gone.file_path).path).unlink()
    proof = world.prove()
    assert proof.standing is Standing.BROKEN
    assert proof.findings == (f"{gone.file_path}, 20 rows, is not in the object store",)
    assert not proof.verdict.holds
    assert world.prove(ELEVEN).findings == proof.findings  # a late row of the next segment could be in it
    assert world.prove(NEXT).standing is Standing.HOLDS


def test_a_lost_row_is_told_with_its_place(world: World) -> None:
    world.land([place for place in kept(world) if place != (1, 4)])
    finish(world)
    proof = world.prove()
    assert (proof.standing, proof.compared.missing, proof.compared.waiting) == (Standing.BROKEN, 1, 0)
    assert proof.examples == (f"{world.topic}-1@4: missing",)
    assert proof.compared.checksum_events != proof.compared.checksum_rows


def test_events_behind_the_newest_row_wait_and_are_not_called_lost(world: World) -> None:
    world.land([place for place in kept(world) if place < (1, 7)])
    proof = world.prove()
    assert (proof.standing, proof.compared.missing, proof.compared.waiting) == (Standing.WAITING, 0, 3)


def test_a_doubled_row_is_counted_once_as_an_event_and_once_as_a_duplicate(world: World) -> None:
    world.land(kept(world))
    world.land([(0, 9), (0, 10)])
    finish(world)
    proof = world.prove()
    assert (proof.identities.rows, proof.identities.duplicates) == (22, 2)
    assert (proof.compared.landed, proof.compared.duplicates, proof.standing) == (20, 2, Standing.BROKEN)
    assert proof.examples == (f"{world.topic}-0@9: 2 rows", f"{world.topic}-0@10: 2 rows")


@pytest.mark.parametrize("changed", [{"user_id": 99}, {"country": None}, {"tags": ["a", "b"]}, {"_guid": "x"}])
def test_a_changed_value_is_told(world: World, changed: dict[str, object]) -> None:
    world.land([place for place in kept(world) if place != (0, 12)])
    world.land([(0, 12)], **changed)
    finish(world)
    proof = world.prove()
    assert (proof.compared.different, proof.compared.missing, proof.compared.unexpected) == (1, 0, 0)
    assert proof.examples == (f"{world.topic}-0@12: different",)


def test_a_row_that_the_filter_should_have_dropped_is_told_unless_an_earlier_plan_kept_it(world: World) -> None:
    world.land([*kept(world), (0, 2)])
    finish(world)
    proof = world.prove()
    assert (proof.compared.unexpected, proof.compared.landed, proof.compared.filtered) == (1, 21, 4)
    before = world.with_plan("country = 'US' or user_id = 2").plan
    excused = world.prove(earlier=(before,))
    assert (excused.standing, excused.compared.earlier_plan) == (Standing.HOLDS, 1)


def test_a_row_of_an_event_that_kafka_never_had_is_told(world: World) -> None:
    world.land(kept(world))
    world.land([(0, 3)], _offset=14, _partition=1)
    world.land([(0, 3)], _offset=7)
    finish(world)
    proof = world.prove()
    assert (proof.identities.duplicates, proof.compared.different) == (1, 1)
    assert proof.identities.late == 1


def test_a_dead_letter_accounts_for_its_event_however_old_the_letter_says_it_is(world: World) -> None:
    for payload in (b"{", b"[]", b'{"user_id": "seven"}'):
        world.send_raw(payload, partition=1)
    for offset, at in ((10, TEN), (11, TEN - timedelta(days=9)), (11, TEN)):
        world.bury((1, offset), at=at)
    world.bury((1, 3), digest="of a plan that could not read it")
    world.land([place for place in kept(world) if place != (1, 3)])
    finish(world)
    proof = world.prove()
    assert (proof.compared.read, proof.compared.landed, proof.compared.dead) == (28, 19, 3)
    assert (proof.compared.missing, proof.compared.unexpected) == (1, 0)
    assert proof.examples == (f"{world.topic}-1@12: missing",)


def test_letters_of_events_that_landed_are_unexpected_where_the_present_plan_wrote_them(world: World) -> None:
    world.land(kept(world))
    world.bury((0, 9))
    world.bury((0, 10), digest="of a plan that could not read it")
    finish(world)
    proof = world.prove()
    assert (proof.compared.unexpected, proof.compared.landed) == (1, 20)
    assert proof.examples == (f"{world.topic}-0@9: unexpected dead letter",)


def test_what_kafka_expired_is_said_and_the_rest_is_compared(world: World) -> None:
    world.land(kept(world))
    finish(world)
    world.expire(0, 8)
    proof = world.prove()
    assert (proof.standing, proof.expired_partitions) == (Standing.EXPIRED, 1)
    assert (proof.identities.expired_rows, proof.compared.read, proof.compared.landed) == (3, 17, 17)
    world.expire(0, 15)
    world.expire(1, 10)
    gone = world.prove()
    assert (gone.standing, gone.expired_partitions, gone.segment_offsets) == (Standing.EXPIRED, 2, 0)
    assert (gone.identities.rows, gone.identities.expired_rows, gone.compared.read) == (20, 20, 0)
    assert gone.verdict.holds


def test_a_partition_that_was_quiet_for_longer_than_kafka_keeps_is_not_called_expired(world: World) -> None:
    world.land(kept(world))
    finish(world)
    world.expire(0, 16)
    world.expire(1, 11)
    world.land(world.produce(3, at=NEXT, partition=1))
    proof = world.prove(hour=NEXT)
    # partition 1 begins with this hour's first record, so that nobody knows; partition 0 has nothing of it
    assert [(span.partition, span.expired) for span in proof.spans] == [(1, True)]


def test_a_late_row_is_found_in_the_segment_in_which_it_came(unfiltered: World) -> None:
    world = unfiltered
    world.land(world.events)
    finish(world)
    (late,) = world.produce(1, at=TEN + timedelta(minutes=9), partition=1)
    assert late == (1, 11)
    world.land([late])
    world.land(world.produce(1, at=ELEVEN + timedelta(minutes=1), partition=1))
    ten, eleven = world.prove(), world.prove(hour=ELEVEN)
    assert (ten.standing, ten.identities.rows, ten.identities.late, ten.identities.gaps) == (Standing.HOLDS, 21, 1, 0)
    assert (eleven.standing, eleven.identities.rows, eleven.identities.gaps) == (Standing.HOLDS, 3, 0)
    assert eleven.compared.landed == 4


def test_a_partition_that_was_added_is_looked_at(world: World) -> None:
    world.land(kept(world))
    finish(world)
    world.add_partition()
    world.produce(4, partition=2)
    proof = world.prove()
    assert (proof.standing, proof.compared.waiting) == (Standing.WAITING, 4)
    world.land([(2, offset) for offset in range(4)])
    assert world.prove().standing is Standing.HOLDS


def test_transaction_markers_are_gaps_but_no_loss_and_a_lost_row_between_them_is_found(unfiltered: World) -> None:
    world, now = unfiltered, datetime.now(UTC).replace(microsecond=0)  # a marker's own time is the broker's
    for number in range(3):
        events = [Event(100 * number + n, "US", now) for n in range(4)]
        world.send(events, 0, **{"transactional.id": f"{world.topic}-tx"})
    world.land(place for place in world.events if place != (0, 16))
    finish(world)
    for whole in (True, False):
        proof = world.prove(hour=now.replace(minute=0, second=0, microsecond=0), whole=whole, sample=5)
        # offsets 14, 19 and 24 are markers
        assert (proof.identities.gaps, proof.identities.gaps_unread) == (4, 0)
        assert (proof.compared.empty, proof.compared.missing) == (3, 1)
        assert proof.examples == (f"{world.topic}-0@16: missing",)


def test_a_sample_of_an_unfiltered_hour_finds_each_single_gap(unfiltered: World) -> None:
    world = unfiltered
    world.produce(5000, partition=1)
    world.land(place for place in world.events if place not in ((1, 333), (1, 4444)))
    finish(world)
    proof = world.prove(whole=False, sample=400)
    assert not proof.whole
    assert proof.compared.offsets < 2000 + 4111
    assert (proof.identities.gaps, proof.compared.missing) == (2, 2)


def test_a_sample_is_the_same_each_time_and_smaller_than_the_hour(world: World) -> None:
    world.produce(5000, partition=1)
    world.land(kept(world))
    finish(world)
    first, second = (world.prove(whole=False, sample=1000) for _ in range(2))
    assert first == second
    assert not first.whole
    assert 800 <= first.compared.offsets <= 1400
    assert first.compared.landed + first.compared.filtered == first.compared.read


def test_an_undeclared_schema_is_named(world: World) -> None:
    world.land(kept(world))
    finish(world)
    columns = (*world.plan.columns, world.plan.columns[0].model_copy(update={"name": "added"}))
    world.plan = world.plan.model_copy(update={"columns": columns})
    proof = world.prove()
    assert (proof.standing, proof.schema_differences) == (Standing.BROKEN, ("column added is missing",))
