"""What a drill's looks and sums tell, from made-up ones."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import pytest

from keystone_platform.audit.truth import RouteTruth
from keystone_platform.drill.course import Figures, Marks, Moment, figures
from keystone_platform.drill.sums import ClusterSums, Outcome
from keystone_platform.producer import Counts, DropReason


def moment(at: float, used: str, a: tuple[int, int], b: tuple[int, int]) -> Moment:
    """Acknowledged and pending of each."""
    counts: Mapping[str, tuple[int, int]] = {"a": a, "b": b}
    return Moment(at, {name: n for name, (n, _) in counts.items()}, {name: n for name, (_, n) in counts.items()}, used)


COURSE = [
    moment(9.0, "a", (900, 10), (0, 0)),
    moment(10.5, "a", (1000, 50), (0, 0)),
    moment(14.0, "b", (1000, 400), (0, 5)),
    moment(14.5, "b", (1000, 400), (20, 30)),
    moment(40.0, "b", (1000, 400), (2500, 5)),
    moment(42.0, "b", (1350, 50), (2700, 5)),
    moment(43.0, "b", (1400, 0), (2800, 5)),
    moment(50.0, "b", (1400, 0), (3500, 5)),
    moment(55.0, "a", (1450, 5), (4000, 0)),
]


def test_the_figures_of_a_course() -> None:
    found = figures(COURSE, Marks(killed=10.0, back=38.0), "a", "b")
    assert found == Figures(switch_s=4.5, stuck=400, late=400, latest_s=33.0, return_s=17.0)


def test_a_course_without_switch_or_return_says_so() -> None:
    assert figures(COURSE[:2], Marks(10.0, None), "a", "b") == Figures(None, 0, 0, None, None)
    assert figures(COURSE[:5], Marks(10.0, 38.0), "a", "b") == Figures(4.5, 400, 0, None, None)
    assert figures(COURSE, Marks(), "a", "b") == Figures(None, 0, 0, None, None)


GOOD = ClusterSums.of("a", "t", Counts(100, 100), RouteTruth("r", 100, 70, 25, 5, 0, 0, 0))
FIGURES = Figures(4.0, 10, 10, 20.0, 15.0)


@pytest.mark.parametrize(
    ("changes", "wrong"),
    [
        ({}, ()),
        ({"attempted": 101}, ("a: attempted is not acknowledged + dropped",)),
        ({"attempted": 103, "dropped": 3, "timed_out": 3}, ()),
        ({"attempted": 103, "dropped": 3, "timed_out": 3, "in_topic": 102, "landed": 72}, ()),
        (
            {"attempted": 103, "dropped": 3, "in_topic": 102, "landed": 72},
            ("a: the topic does not hold what was acknowledged",),
        ),
        ({"landed": 69, "lost": 1}, ("a: landed + filtered + dead is not in the topic", "a: events are lost")),
        ({"duplicated": 1}, ("a: rows are doubled",)),
    ],
)
def test_sums_that_do_not_close_are_named(changes: dict[str, int], wrong: tuple[str, ...]) -> None:
    assert Outcome(FIGURES, [dataclasses.replace(GOOD, **changes)], 0, 1.0).wrong == wrong  # type: ignore[arg-type]


def test_a_slow_switch_or_a_doubled_event_fails_the_drill() -> None:
    assert Outcome(dataclasses.replace(FIGURES, switch_s=10.0), [GOOD], 0, 1.0).wrong == ("no switch within 10 s",)
    assert Outcome(dataclasses.replace(FIGURES, switch_s=None), [GOOD], 0, 1.0).wrong == ("no switch within 10 s",)
    assert Outcome(dataclasses.replace(FIGURES, return_s=None), [GOOD], 0, 1.0).wrong == ("the stream did not return",)
    assert Outcome(FIGURES, [GOOD], 2, 1.0).wrong == ("2 events are there twice",)
    assert Outcome(FIGURES, [GOOD], 0, 1.0).as_json()["clusters"][0]["arrived_all_the_same"] == 0


def test_what_was_given_up_without_an_answer_may_have_arrived() -> None:
    counts = Counts(103, 100, {DropReason.TIMED_OUT: 2, DropReason.QUEUE_FULL: 1})
    found = ClusterSums.of("a", "t", counts, RouteTruth("r", 102, 72, 25, 5, 0, 0, 0))
    assert (found.timed_out, found.arrived_all_the_same, found.wrong) == (2, 2, ())
