"""A changed YAML and its table: what is told before, what is refused, and what a rollback finds. The table is real."""

from __future__ import annotations

from pathlib import Path

import pytest

from keystone_platform.control.goal import Verdict
from keystone_platform.control.goals import planned_routes, wanted
from keystone_platform.control.preview import RoutePreview, preview
from keystone_platform.control.reconcile import reconcile
from keystone_platform.control.rollback import roll_back
from keystone_platform.gateways.lake import IcebergLake
from tests.contract.lake_tables import local_settings
from tests.control.fakes import World, make_world

ROUTE = "one.warehouse"
TABLE = "tests.one"


@pytest.fixture
def world(tmp_path: Path) -> World:
    world = make_world(tmp_path)
    world.lake = IcebergLake(local_settings(tmp_path))  # type: ignore[assignment]
    return world


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "streams"
    folder.mkdir()
    return folder


def declare(folder: Path, select: str, sink: str = "", n: str = "int") -> None:
    (folder / "one.yaml").write_text(
        f"stream: one\nowner: team:tests\ncompatibility: none\n"
        f"schema: {{n: {n}, kind: string, x: double}}\n"
        f"routes:\n  - sink: {{warehouse: {{table: {TABLE}{sink}}}}}\n    select: {select}\n"
    )


def apply(world: World, folder: Path) -> Verdict:
    (verdict,) = reconcile(world.gateways, wanted(folder, []).goals)
    return verdict


def told(world: World, folder: Path) -> RoutePreview:
    (item,) = preview(world.gateways, planned_routes(folder, []))
    return item


def columns(world: World) -> dict[str, int]:
    """Names of the table's own columns with their ids."""
    assert isinstance(world.lake, IcebergLake)
    fields = world.lake.load(TABLE).schema().fields
    return {field.name: field.field_id for field in fields if not field.name.startswith("_")}


def test_every_changed_column_is_told_before_and_nothing_is_touched(world: World, folder: Path) -> None:
    declare(folder, "[n, {type: kind}, x]")
    assert apply(world, folder).ok
    before = columns(world)
    declare(folder, "[n, {form: kind}, {other: kind}]", ", renamed: {form: type}", n="bigint")
    item = told(world, folder)
    assert {each.column: each.effect.value for each in item.table} == {
        "form": "renamed",
        "other": "added",
        "n": "widened",
        "x": "kept",
    }
    assert (item.change, "column n widened: int to long" in item.why) == ("restart", True)
    assert all(each["safe"] for each in item.as_json()["table"])
    assert columns(world) == before


def test_a_refused_change_is_told_and_leaves_the_running_router_and_the_table_alone(world: World, folder: Path) -> None:
    declare(folder, "[n, {type: kind}]")
    assert apply(world, folder).ok
    first, before = world.ledger.latest()[ROUTE], columns(world)
    declare(folder, "[n, {form: kind}]", ", renamed: {form: type}", n="string")
    item, verdict = told(world, folder), apply(world, folder)
    assert item.change == "refused"
    assert "n is int, wanted string" in item.error
    assert "`n_new` in `select`" in verdict.message
    assert world.flink.known[first.job_id].is_running
    assert (columns(world), world.ledger.latest()[ROUTE]) == (before, first)


def test_a_rollback_after_a_rename_lands_in_the_same_column(world: World, folder: Path) -> None:
    declare(folder, "[n, {type: kind}]")
    assert apply(world, folder).ok
    before = columns(world)
    declare(folder, "[n, {form: kind}]", ", renamed: {form: type}")
    assert apply(world, folder).ok
    assert columns(world) == {"n": before["n"], "form": before["type"]}
    assert roll_back(world.gateways, ROUTE).ok
    assert columns(world) == before
    assert roll_back(world.gateways, ROUTE, 2).ok
    assert columns(world) == {"n": before["n"], "form": before["type"]}


def test_an_upgrade_with_a_rename_that_does_not_come_up_gives_the_old_plan_its_column_back(
    world: World, folder: Path
) -> None:
    declare(folder, "[n, {type: kind}]")
    assert apply(world, folder).ok
    before = columns(world)
    declare(folder, "[n, {form: kind}]", ", renamed: {form: type}")
    world.flink.fails_at_start.add(wanted(folder, []).goals[0].plan.digest)
    verdict = apply(world, folder)
    assert "The plan before runs again" in verdict.message
    assert columns(world) == before


def test_a_column_goes_only_when_the_plan_before_wrote_it_no_more(world: World, folder: Path) -> None:
    declare(folder, "[n, x]")
    assert apply(world, folder).ok
    before = columns(world)
    declare(folder, "[n]", ", dropped: [x]")
    for error in (told(world, folder).error, apply(world, folder).message):
        assert "the plan of epoch 1, the newest, writes x" in error
    declare(folder, "[n]")
    assert [each.effect.value for each in told(world, folder).table] == ["kept"]
    assert apply(world, folder).ok
    assert columns(world) == before
    declare(folder, "[n]", ", dropped: [x]")
    assert [each.effect.value for each in told(world, folder).table] == ["dropped"]
    assert apply(world, folder).ok
    assert columns(world) == {"n": before["n"]}
    assert told(world, folder).change == "nothing"


def test_a_plan_that_dropped_a_column_drops_nothing_when_it_comes_back(world: World, folder: Path) -> None:
    for select, sink in (("[n, x]", ""), ("[n]", ""), ("[n]", ", dropped: [x]"), ("[n, x]", "")):
        declare(folder, select, sink)
        assert apply(world, folder).ok
    before = columns(world)
    verdict = roll_back(world.gateways, ROUTE, 3)
    assert verdict.ok, verdict.message
    assert columns(world) == before
    assert "x" in before


def test_a_former_name_that_is_taken_away_from_the_yaml_restarts_nothing(world: World, folder: Path) -> None:
    declare(folder, "[n, {type: kind}]")
    assert apply(world, folder).ok
    declare(folder, "[n, {form: kind}]", ", renamed: {form: type}")
    assert apply(world, folder).ok
    declare(folder, "[n, {form: kind}]")
    assert told(world, folder).change == "nothing"
