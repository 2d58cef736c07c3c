"""Operations on many routes: batches, thresholds, what is left, and what nobody declares."""

from __future__ import annotations

from pathlib import Path

import pytest

from keystone_platform.control.fleet import USUAL_BATCH, Pace, reconcile_fleet
from keystone_platform.control.goal import Goal
from keystone_platform.control.goals import deployed, undeclared, wanted
from keystone_platform.control.overview import UNDECLARED, overview
from keystone_platform.control.reconcile import reconcile
from keystone_platform.control.selection import Selection
from keystone_platform.errors import InvalidSpec, Transient
from keystone_platform.plan.decide import Request
from keystone_platform.plan.deployment import End
from keystone_platform.spec.loader import load_streams_leniently
from tests.control.fakes import World, a_plan
from tests.e2e.platform import stream_yaml

GOALS = [Goal(a_plan(f"s{number}.warehouse", table=f"events.s{number}"), 1) for number in range(8)]
ALL = Selection(("*",))


def break_at(world: World, *numbers: int) -> None:
    world.submitter.uncompilable |= {GOALS[number].plan.digest for number in numbers}


@pytest.mark.parametrize(
    ("pace", "sizes"),
    [
        (Pace(), [25]),
        (Pace(batch=10), [10, 10, 5]),
        (Pace(batch=40), [25]),
        (Pace(max_failures=0), [USUAL_BATCH, USUAL_BATCH, 25 - 2 * USUAL_BATCH]),
        (Pace(batch=24, max_failures=0), [24, 1]),
    ],
)
def test_how_a_fleet_is_divided(pace: Pace, sizes: list[int]) -> None:
    assert [len(batch) for batch in pace.batches(GOALS[:1] * 25)] == sizes
    assert pace.batches([]) == []


def test_without_a_pace_all_routes_are_submitted_from_one_jvm(world: World) -> None:
    assert all(verdict.ok for verdict in reconcile_fleet(world.gateways, GOALS, Request.CONVERGE))
    assert world.submitter.calls == 1


def test_no_further_batch_is_begun_when_too_many_failed_and_what_is_left_is_told(world: World) -> None:
    break_at(world, 1, 2)
    told: list[tuple[str, str]] = []
    pace = Pace(batch=2, max_failures=1)
    verdicts = reconcile_fleet(
        world.gateways, GOALS, Request.CONVERGE, pace, lambda route, doing: told.append((route, doing))
    )
    assert [verdict.route for verdict in verdicts] == [goal.route for goal in GOALS]
    assert [verdict.ok for verdict in verdicts] == [True, False, False, True, False, False, False, False]
    assert "not begun, since 2 routes failed before it" in verdicts[-1].message
    assert set(world.ledger.latest()) == {goal.route for goal in GOALS[:4]}
    assert ("batch 2 of 4", "2 routes, 1 failed so far") in told


def test_as_many_failures_as_are_allowed_stop_nothing(world: World) -> None:
    break_at(world, 0)
    pace = Pace(batch=1, max_failures=1)
    assert sum(verdict.ok for verdict in reconcile_fleet(world.gateways, GOALS, Request.CONVERGE, pace)) == 7


def test_a_cluster_that_dies_half_way_leaves_the_verdicts_of_what_was_done(world: World) -> None:
    def die(route: str, doing: str) -> None:
        if route.startswith("batch 2"):
            world.flink.reachable = False

    verdicts = reconcile_fleet(world.gateways, GOALS, Request.CONVERGE, Pace(batch=4), die)
    assert [verdict.ok for verdict in verdicts] == [True] * 4 + [False] * 4
    assert isinstance(verdicts[-1].error, Transient)
    with pytest.raises(Transient):
        reconcile_fleet(world.gateways, GOALS, Request.CONVERGE, Pace(batch=4))


def declare(folder: Path, *streams: str) -> Path:
    folder.mkdir(exist_ok=True)
    for stream in streams:
        (folder / f"{stream}.yaml").write_text(stream_yaml(stream))
    return folder


def test_a_selection_is_not_kept_from_its_routes_by_a_broken_file_but_tells_it(tmp_path: Path) -> None:
    folder = declare(tmp_path / "streams", "one", "two")
    (folder / "bad.yaml").write_text("stream: [")
    found = wanted(folder, Selection(owners=("team:tests",)))
    assert [goal.route for goal in found.goals] == ["one.warehouse", "two.warehouse"]
    assert ["bad.yaml" in error.file for error in found.unsupported] == [True]
    assert wanted(folder, Selection(("one.*",))).unsupported
    assert not wanted(folder, Selection(("one.warehouse",))).unsupported


def test_what_is_stopped_is_chosen_among_what_was_deployed(world: World, tmp_path: Path) -> None:
    fleet = load_streams_leniently(declare(tmp_path / "streams", "one"))
    reconcile(world.gateways, [*GOALS[:2], Goal(a_plan("one.warehouse", table="events.one"), 1)])
    assert [goal.route for goal in deployed(world.ledger, Selection(("s*",)))] == ["s0.warehouse", "s1.warehouse"]
    assert [goal.route for goal in deployed(world.ledger, Selection(streams=("s1",)))] == ["s1.warehouse"]
    owned = deployed(world.ledger, Selection(owners=("team:tests",)), fleet)
    assert [goal.route for goal in owned] == ["one.warehouse"]
    with pytest.raises(InvalidSpec, match=r"'\*' takes all"):
        deployed(world.ledger, Selection())


def test_nobody_is_told_to_prune_a_router_whose_file_may_be_the_one_that_is_wrong(world: World, tmp_path: Path) -> None:
    folder = declare(tmp_path / "streams", "one")
    (folder / "s0.yaml").write_text("stream: s0\nfields: 3\n")
    reconcile(world.gateways, GOALS[:1])
    line = next(
        line for line in overview(world.gateways, load_streams_leniently(folder)) if line.declared == UNDECLARED
    )
    assert "s0.yaml is wrong: keystone plan says where" in line.remark
    assert "--prune" not in line.remark


def test_what_nobody_declares_is_shown_and_only_what_runs_of_it_is_pruned(world: World, tmp_path: Path) -> None:
    fleet = load_streams_leniently(declare(tmp_path / "streams", "one"))
    reconcile(world.gateways, GOALS[:3])
    reconcile(world.gateways, GOALS[2:3], Request.STOP)
    lines = {line.status.route: (line.status.state.value, line.declared) for line in overview(world.gateways, fleet)}
    assert lines == {
        "one.warehouse": ("absent", "running"),
        "s0.warehouse": ("running", "no"),
        "s1.warehouse": ("running", "no"),
    }
    assert "keystone apply --prune stops it" in overview(world.gateways, fleet)[1].remark
    left = undeclared(world.gateways, {"s0.warehouse"})
    assert [goal.route for goal in left] == ["s1.warehouse"]
    (verdict,) = reconcile(world.gateways, left, Request.STOP)
    assert verdict.deployment is not None
    assert verdict.deployment.end is End.STOPPED
    assert undeclared(world.gateways, {"s0.warehouse"}) == ()
