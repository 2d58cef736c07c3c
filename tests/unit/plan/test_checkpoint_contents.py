"""What a checkpoint's offsets mean for who would start a job from it."""

from __future__ import annotations

import pytest

from keystone_platform.plan.checkpoint_contents import Position, Reach, dangers, positions, total_lag
from keystone_platform.plan.recovery import NextOffsets, offsets_of_text, positions_text

REACH = Reach(
    begin={"t": {0: 0, 1: 40, 2: 0}},
    end={"t": {0: 500, 1: 500, 2: 90}},
    landed={"t": {0: 300, 1: 250}},
    table="events.t",
)


def told(offsets: NextOffsets, committed_after: int | None = None, reach: Reach = REACH) -> str:
    return " | ".join(dangers(positions(offsets, reach), reach.table, committed_after))


def test_each_partition_stands_beside_topic_and_table() -> None:
    assert positions({"t": {0: 300, 1: 260}}, REACH) == (
        Position("t", 0, 300, 0, 500, 300),
        Position("t", 1, 260, 40, 500, 250),
        Position("t", 2, None, 0, 90, None),
    )
    assert [each.lag for each in positions({"t": {0: 300, 1: 260}}, REACH)] == [200, 240, 90]
    assert total_lag(positions({"t": {0: 300, 1: 260}}, REACH)) == 530


def test_a_checkpoint_that_the_table_is_not_ahead_of_is_no_danger() -> None:
    assert told({"t": {0: 300, 1: 250, 2: 5}}) == ""
    assert told({"t": {0: 450, 1: 250, 2: 5}}) == ""


def test_one_partition_behind_the_table_is_enough() -> None:
    assert told({"t": {0: 480, 1: 249, 2: 5}}).startswith("older than events.t (1 offsets)")


def test_a_partition_that_it_has_not_read_is_read_from_its_beginning() -> None:
    assert told({"t": {0: 480, 2: 5}}).startswith("older than events.t (210 offsets)")


def test_where_offsets_are_not_readable_the_tables_history_tells() -> None:
    assert told({}, 7, Reach(table="events.t")).startswith("older than events.t (checkpoint 7 is committed)")
    assert told({}, 7, Reach()) == ""
    assert told({"t": {0: 300, 1: 250}}, 7) == "", "what came after it was filtered out: nothing lands twice"


def test_what_kafka_has_deleted_meanwhile_is_told() -> None:
    assert (
        told({"t": {1: 30}}, reach=Reach(REACH.begin, REACH.end)) == "Kafka has deleted 10 offsets that come after it"
    )


def test_a_topic_that_was_made_anew_is_told() -> None:
    assert "made anew" in told({"t": {0: 501, 1: 250}})


def test_what_is_not_known_is_no_number() -> None:
    unknown = positions({"t": {0: 300}}, Reach(table="events.t"))
    assert unknown == (Position("t", 0, 300, None, None, None),)
    assert total_lag(unknown) is None
    assert dangers(unknown, "events.t") == ()
    assert total_lag(()) is None


@pytest.mark.parametrize("offsets", [{}, {"a.b": {0: 1}}, {"a": {0: 1, 11: 2}, "b-c_d": {3: 4}}])
def test_offsets_survive_their_line(offsets: NextOffsets) -> None:
    assert offsets_of_text(positions_text(offsets)) == offsets
