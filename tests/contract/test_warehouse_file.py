"""`warehouse.duckdb`: what its readers see, for how long, and what is never in it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import dagster as dg
import duckdb
import pytest
from typer.testing import CliRunner

from assets import keys
from assets.resource import WarehouseResource
from assets.views import views_asset, views_sensor
from keystone_platform.cli import app
from keystone_platform.errors import InvalidSpec, Transient
from keystone_platform.gateways.clock import SystemClock
from keystone_platform.gateways.lake import IcebergLake
from keystone_platform.query.session import EXTENSIONS, extension_file
from keystone_platform.query.warehouse_file import FILE, PIN_AGE, _forget, published_place, refresh
from keystone_platform.settings import HOME_VARIABLE, SETTINGS_VARIABLE, Settings
from tests.contract.lake_tables import ELEVEN, TABLE, lake_with_table, land, local_settings, prove, warehouse_plan

CLOCK = SystemClock()


@pytest.fixture
def lake(tmp_path: Path) -> IcebergLake:
    lake, table = lake_with_table(tmp_path)
    land(table, range(10))
    lake.ensure_table(warehouse_plan(table="other.empty"))
    return lake


@pytest.fixture
def settings(lake: IcebergLake, tmp_path: Path) -> Settings:
    return local_settings(tmp_path)


def attached(file: Path) -> duckdb.DuckDBPyConnection:
    """Attach it as an analyst does who has no Keystone."""
    session = duckdb.connect()
    for name in EXTENSIONS:
        session.load_extension(extension_file(name))
    session.execute(f"ATTACH '{file}' AS warehouse (READ_ONLY)")
    session.execute("USE warehouse")
    return session


def count(session: duckdb.DuckDBPyConnection, table: str = TABLE) -> int:
    (rows,) = session.execute(f"select count(*) from {table}").fetchone() or (0,)
    return int(rows)


def test_a_view_per_table_and_proven_ones_where_something_is_proven(
    settings: Settings, lake: IcebergLake, tmp_path: Path
) -> None:
    table = lake.load(TABLE)
    prove(table, ELEVEN)
    land(table, range(10, 15))
    assert refresh(settings, tmp_path / FILE, CLOCK).views == 3
    session = attached(tmp_path / FILE)
    assert [count(session, each) for each in (TABLE, "events_proven.playback", "other.empty")] == [15, 10, 0]
    published = Path(published_place(settings).removeprefix("file://")) / FILE
    assert count(attached(published)) == 15


def test_a_reader_keeps_its_moment_over_a_refresh_and_the_tables_lost_metadata(
    settings: Settings, lake: IcebergLake, tmp_path: Path
) -> None:
    file = tmp_path / FILE
    refresh(settings, file, CLOCK)
    reader = attached(file)
    table = lake.load(TABLE)
    before = Path(table.metadata_location.removeprefix("file://"))
    land(table, range(10, 30))
    before.unlink()  # as a table's commits do, fifty later
    refresh(settings, file, CLOCK)
    assert count(reader) == 10
    assert count(attached(file)) == 30


def test_nothing_is_written_when_no_table_changed(settings: Settings, lake: IcebergLake, tmp_path: Path) -> None:
    file = tmp_path / FILE
    first = refresh(settings, file, CLOCK)
    written = file.stat().st_mtime_ns
    again = refresh(settings, file, CLOCK)
    assert (first.written, again.written, again.state) == (True, False, first.state)
    assert file.stat().st_mtime_ns == written
    land(lake.load(TABLE), range(10, 20))
    assert refresh(settings, file, CLOCK).written


def test_a_file_that_is_none_of_ours_is_replaced(settings: Settings, tmp_path: Path) -> None:
    (tmp_path / FILE).write_text("half a file")
    assert refresh(settings, tmp_path / FILE, CLOCK).written
    assert count(attached(tmp_path / FILE)) == 10


def test_a_refresh_that_fails_leaves_the_old_file(settings: Settings, lake: IcebergLake, tmp_path: Path) -> None:
    file = tmp_path / FILE
    refresh(settings, file, CLOCK)
    table = lake.load(TABLE)
    land(table, range(10, 20))
    newest = Path(lake.load(TABLE).metadata_location.removeprefix("file://"))
    newest.rename(tmp_path / "gone")
    with pytest.raises(Transient, match="missing"):
        refresh(settings, file, CLOCK)
    assert count(attached(file)) == 10
    assert [each.name for each in tmp_path.glob(f".{FILE}*")] == []


def test_no_secret_is_in_the_file_or_in_a_pin(settings: Settings, tmp_path: Path) -> None:
    s3 = settings.s3.model_copy(update={"secret_access_key": "canary-secret", "access_key_id": "canary-id"})
    catalog = {**settings.catalog, "s3.secret-access-key": "canary-secret"}
    refresh(settings.model_copy(update={"s3": s3, "catalog": catalog}), tmp_path / FILE, CLOCK)
    place = Path(published_place(settings).removeprefix("file://"))
    written = [tmp_path / FILE, *(each for each in place.rglob("*") if each.is_file())]
    assert len(written) == 4
    assert [each for each in written if b"canary" in each.read_bytes()] == []


def test_a_pin_holds_no_history(settings: Settings, lake: IcebergLake, tmp_path: Path) -> None:
    for start in range(10, 50, 10):
        land(lake.load(TABLE), range(start, start + 10))
    refresh(settings, tmp_path / FILE, CLOCK)
    (pin,) = (Path(published_place(settings).removeprefix("file://")) / "pins" / TABLE).iterdir()
    document = json.loads(pin.read_text())
    assert [len(document[each]) for each in ("snapshots", "snapshot-log", "metadata-log")] == [1, 0, 0]


class Listed:
    """An object store that only lists and deletes."""

    def __init__(self, uris: dict[str, datetime]) -> None:
        self.uris = uris

    def listed(self, prefix: str) -> tuple[object, ...]:
        from keystone_platform.gateways.objects import StoredObject

        return tuple(StoredObject(uri, 1, modified) for uri, modified in self.uris.items() if uri.startswith(prefix))

    def delete(self, uris: list[str]) -> int:
        for uri in uris:
            del self.uris[uri]
        return len(uris)


def test_only_pins_that_are_old_and_named_nowhere_are_deleted() -> None:
    from keystone_platform.query.views import View

    now = CLOCK.now()
    old = now - PIN_AGE - PIN_AGE
    place = "s3://keystone/analysts"
    objects = Listed({f"{place}/pins/a.b/named": old, f"{place}/pins/a.b/old": old, f"{place}/pins/a.b/new": now})
    objects.uris |= {f"{place}/{FILE}": old, "s3://keystone/warehouse/a/b": old}
    assert _forget(objects, place, [View("a", "b", f"{place}/pins/a.b/named")], CLOCK) == 1  # type: ignore[arg-type]
    assert f"{place}/pins/a.b/old" not in objects.uris
    assert len(objects.uris) == 4


@pytest.mark.parametrize(
    ("warehouse", "place"),
    [
        ("s3://keystone/warehouse", "s3://keystone/analysts"),
        ("s3://company/data/lake/", "s3://company/data/analysts"),
        ("s3://company", "s3://keystone/analysts"),
        ("main", "s3://keystone/analysts"),
    ],
)
def test_it_is_published_where_the_readers_of_the_warehouse_may_read(
    settings: Settings, warehouse: str, place: str
) -> None:
    named = settings.model_copy(update={"catalog": {**settings.catalog, "warehouse": warehouse}})
    assert published_place(named) == place


def test_without_tables_there_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(InvalidSpec, match="no table yet"):
        refresh(local_settings(tmp_path), tmp_path / FILE, CLOCK)


@pytest.fixture
def environment(settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    (tmp_path / "settings.json").write_text(settings.model_dump_json())
    monkeypatch.setenv(SETTINGS_VARIABLE, str(tmp_path / "settings.json"))
    monkeypatch.setenv(HOME_VARIABLE, str(tmp_path))
    yield tmp_path


def test_the_command_line(environment: Path) -> None:
    told = json.loads(CliRunner().invoke(app, ["views", "--json"]).stdout)
    assert (told["views"], told["written"], Path(told["file"])) == (2, True, environment / FILE)
    assert "nothing changed" in CliRunner().invoke(app, ["views"]).stdout
    CliRunner().invoke(app, ["views", "--out", str(environment / "mine.duckdb")])
    assert count(attached(environment / "mine.duckdb")) == 10


def test_dagster_makes_it_anew_when_a_table_changed_and_only_then(environment: Path, lake: IcebergLake) -> None:
    asset, sensor = views_asset([]), views_sensor()
    resources = {"warehouse": WarehouseResource()}
    with dg.DagsterInstance.ephemeral() as instance:

        def asked() -> list[str | None]:
            context = dg.build_sensor_context(
                instance=instance, resources=resources, definitions=dg.Definitions([asset], resources=resources)
            )
            return [request.run_key for request in sensor.evaluate_tick(context).run_requests or []]

        first = asked()
        assert len(first) == 1
        assert asked() == first  # until it is done, by the same key
        assert dg.materialize([asset], instance=instance, resources=resources).success
        assert asked() == []
        land(lake.load(TABLE), range(10, 20))
        assert len(asked()) == 1
        event = instance.get_latest_materialization_event(keys.VIEWS_KEY)
        assert event.asset_materialization.metadata[keys.VIEWS].value == 2
    assert count(attached(environment / FILE)) == 10
