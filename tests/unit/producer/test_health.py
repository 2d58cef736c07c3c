"""How a cluster is judged, look by look: each case is a story of signs and the states that follow."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import pytest

from keystone_platform.producer.accounting import Sums
from keystone_platform.producer.choice import choose, shares
from keystone_platform.producer.flow import Flow
from keystone_platform.producer.health import Condition, FailoverLimits, Health, Signs, judge

LIMITS = FailoverLimits()

GOES_ON: dict[str, Any] = {"acknowledged_ago_s": 0.0}
ANSWERS: dict[str, Any] = {"has_answered": True}
SILENT: dict[str, Any] = {"probes_failed": 1}


def stalled(seconds: float, **more: Any) -> dict[str, Any]:
    return {"stalled_s": seconds, "acknowledged_ago_s": seconds, **more}


def judged(
    story: Sequence[tuple[float, dict[str, Any]]], first: Condition | None = None, draw: float = 0.0
) -> list[Condition]:
    before, found = first or Condition(), []
    for at, signs in story:
        before = judge(before, Signs(at=at, **signs), LIMITS, draw)
        found.append(before)
    return found


U, H, P, K, R = Health.UNKNOWN, Health.HEALTHY, Health.SUSPECT, Health.SICK, Health.RECOVERING


@pytest.mark.parametrize(
    ("name", "story", "states"),
    [
        ("nothing seen", [(1, {}), (2, {})], [U, U]),
        ("acknowledged", [(1, {}), (2, GOES_ON)], [U, H]),
        ("answers while idle", [(1, ANSWERS), (50, ANSWERS)], [H, H]),
        (
            "dies under load",
            [(1, GOES_ON), (2.5, stalled(1.5)), (4, stalled(3.0, **SILENT))],
            [H, P, K],
        ),
        (
            "freezes: probes are not answered either, but the first one is still on its way",
            [(1, GOES_ON), (4, stalled(3.0)), (4.5, stalled(3.5, **SILENT))],
            [H, P, K],
        ),
        (
            "takes nothing although it answers: too few replicas, a full disk",
            [(1, GOES_ON), (4, stalled(3.0, **ANSWERS)), (8, stalled(7.0, **ANSWERS))],
            [H, P, K],
        ),
        (
            "a leader moves: a pause of some seconds is no sickness",
            [(1, GOES_ON), (3, stalled(2.0, **ANSWERS)), (3.5, GOES_ON | ANSWERS)],
            [H, P, H],
        ),
        (
            "a part of it is stuck while the rest goes on",
            [(1, GOES_ON), (20, GOES_ON | {"oldest_s": 19.0}), (31, GOES_ON | {"oldest_s": 30.0})],
            [H, H, K],
        ),
        (
            "metadata is slow under load, but events go on",
            [(1, GOES_ON), (3, GOES_ON | {"probes_failed": 3}), (9, GOES_ON | {"probes_failed": 9})],
            [H, H, H],
        ),
        (
            "dies while no event waits",
            [(1, ANSWERS), (3, SILENT), (4.5, {"probes_failed": 2})],
            [H, P, K],
        ),
        (
            "one lost answer is no death",
            [(1, ANSWERS), (3, SILENT), (3.5, ANSWERS)],
            [H, P, H],
        ),
        (
            "events were given up, and it does not answer",
            [(1, GOES_ON), (3, {"is_failing": True}), (4, {"is_failing": True, **SILENT})],
            [H, P, K],
        ),
        (
            "answers again, but what waits is not acknowledged",
            [(1, ANSWERS), (5, stalled(7.0)), (6, stalled(8.0, **ANSWERS)), (9, GOES_ON)],
            [H, K, K, R],
        ),
    ],
)
def test_signs_become_states(name: str, story: Any, states: Any) -> None:
    assert [condition.health for condition in judged(story)] == states, name


SICK = Condition(K, since=100.0, well_since=10.0, relapses=1)


def test_a_sick_cluster_is_healthy_only_after_it_was_well_for_the_whole_hold() -> None:
    back = [(110.0, ANSWERS), (139.9, ANSWERS), (140.0, ANSWERS)]
    assert [each.health for each in judged(back, SICK)] == [R, R, H]
    interrupted = [(110.0, ANSWERS), (139.0, SILENT), (140.0, ANSWERS), (169.0, ANSWERS), (170.0, ANSWERS)]
    assert [each.health for each in judged(interrupted, SICK)] == [R, K, R, R, H]


def test_producers_draw_the_moment_of_their_return_so_that_they_do_not_return_at_once() -> None:
    moments = {}
    for draw in (0.0, 0.5, 0.99):
        story = [(float(at), ANSWERS) for at in range(110, 200)]
        moments[draw] = next(
            at for (at, _), each in zip(story, judged(story, SICK, draw), strict=True) if each.health is H
        )
    assert moments == {0.0: 140.0, 0.5: 155.0, 0.99: 170.0}


def test_each_relapse_doubles_the_hold_up_to_a_bound_and_a_long_calm_forgives() -> None:
    condition, now, holds = Condition(H, since=0.0, well_since=0.0), 0.0, []
    for _ in range(8):
        condition = judge(condition, Signs(at=now + 10, probes_failed=2), LIMITS, 0.0)
        assert condition.health is K
        condition = judge(condition, Signs(at=now + 20, has_answered=True), LIMITS, 0.0)
        began = now = now + 20
        while condition.health is not H:
            now += 1
            condition = judge(condition, Signs(at=now, has_answered=True), LIMITS, 0.0)
        holds.append(now - began)
    assert holds == [30, 60, 120, 240, 480, 900, 900, 900]
    later = judge(condition, Signs(at=now + LIMITS.relapse_s, probes_failed=2), LIMITS, 0.0)
    assert later.relapses == 1


def test_a_suspicion_that_passes_does_not_make_the_next_sickness_a_relapse() -> None:
    (*_, condition) = judged([(1.0, GOES_ON), (700.0, stalled(2.0)), (701.0, GOES_ON), (702.0, stalled(7.0))])
    assert (condition.health, condition.relapses) == (K, 1)


NAMES = ("a", "b")


@pytest.mark.parametrize(
    ("current", "a", "b", "chosen"),
    [
        ("a", Condition(H), Condition(H), "a"),
        ("a", Condition(P), Condition(H), "a"),
        ("a", Condition(K), Condition(H), "b"),
        ("a", Condition(U), Condition(H), "a"),
        # never to one that is not known to be well
        ("a", Condition(K), Condition(U), "a"),
        ("a", Condition(K), Condition(P), "a"),
        ("a", Condition(K), Condition(K), "a"),
        ("a", Condition(K), Condition(R, since=999.0, relapses=1), "a"),
        # unless it is better than one that is sick
        ("a", Condition(K), Condition(R, since=994.0, relapses=1), "b"),
        ("a", Condition(K), Condition(R, since=994.0, relapses=3), "a"),
        ("b", Condition(K), Condition(H), "b"),
        ("b", Condition(R, since=900.0), Condition(H), "b"),
        ("b", Condition(R, since=900.0), Condition(P), "b"),
        ("b", Condition(H), Condition(H), "a"),
        ("b", Condition(H), Condition(K), "a"),
        ("b", Condition(R, since=994.0, relapses=1), Condition(K), "a"),
    ],
)
def test_which_cluster_is_used(current: str, a: Condition, b: Condition, chosen: str) -> None:
    assert choose(current, NAMES, {"a": a, "b": b}, 1000.0, LIMITS) == chosen


def test_two_clusters_that_answer_but_take_nothing_are_not_switched_between_for_ever() -> None:
    """Each is sick after 7 s in use, and answers as soon as it is left."""
    conditions = {"a": Condition(H), "b": Condition(H)}
    current, used_since, switches, now = "a", 0.0, 0, 0.0
    while now < 3600:
        now += 0.5
        for name in NAMES:
            waits = now - used_since if name == current else 0.0
            conditions[name] = judge(conditions[name], Signs(now, waits, waits, has_answered=True), LIMITS, 0.0)
        chosen = choose(current, NAMES, conditions, now, LIMITS)
        if chosen != current:
            current, used_since, switches = chosen, now, switches + 1
    assert switches <= 20


def test_the_bound_of_the_buffer_holds_over_clusters_and_a_dead_one_leaves_room() -> None:
    used = {"a": 0, "b": 0}
    assert shares(NAMES, {"a"}, used.__getitem__, 256) == {"a": 192, "b": 64}
    used["a"] = 192
    assert shares(NAMES, {"b"}, used.__getitem__, 256) == {"a": 64, "b": 64}
    used["a"] = 20
    assert shares(NAMES, {"b"}, used.__getitem__, 256) == {"a": 64, "b": 192}
    assert shares(NAMES, {"a", "b"}, {"a": 0, "b": 0}.__getitem__, 256) == {"a": 128, "b": 128}
    assert shares(NAMES, {"a", "b"}, {"a": 192, "b": 0}.__getitem__, 256) == {"a": 128, "b": 64}
    assert shares(NAMES, set(), {"a": 0, "b": 0}.__getitem__, 256) == {"a": 128, "b": 128}


def test_a_flow_tells_how_long_events_wait_and_that_others_go_on() -> None:
    flow = Flow()
    flow.look(Sums(0, 0, 0, 0), 0.0)
    assert (flow.stalled_s(0.0), flow.oldest_s(0.0), flow.acknowledged_ago_s(0.0)) == (0.0, 0.0, math.inf)
    flow.look(Sums(100, 0, 0, 0), 1.0)
    flow.look(Sums(200, 60, 60, 0), 2.0)
    assert (flow.stalled_s(2.5), flow.oldest_s(2.5), flow.acknowledged_ago_s(2.5)) == (0.5, 1.5, 0.5)
    flow.look(Sums(200, 150, 150, 0), 3.0)
    assert flow.oldest_s(4.0) == 2.0
    flow.look(Sums(200, 150, 190, 40), 5.0)
    assert flow.is_failing(6.0)
    assert flow.stalled_s(6.0) == 3.0
    flow.look(Sums(200, 160, 200, 40), 7.0)
    assert (flow.stalled_s(9.0), flow.oldest_s(9.0), flow.is_failing(9.0)) == (0.0, 0.0, False)
