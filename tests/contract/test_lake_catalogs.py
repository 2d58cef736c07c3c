"""The same lake on each catalog: SQLite, a real PostgreSQL, and a real REST catalog behind a gateway with a token.

What a catalog has a say in is tried here on all of them; what is about files and schemas alone: test_lake*.py.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest
from pyiceberg.table import Table

from assets.compaction import compact
from assets.compaction.compact import compact_hour
from keystone_platform.errors import KeystoneError, Terminal, Transient, UnknownOutcome
from keystone_platform.gateways import rest_catalog as rest_client
from keystone_platform.gateways.lake import IcebergLake
from keystone_platform.query.session import open_session
from keystone_platform.settings import Settings
from keystone_platform.spec.types import Scalar
from tests.contract.catalog_gateway import CLIENT, TOKEN, Gateway, gateway
from tests.contract.catalog_servers import PASSWORD, Postgres, postgres, rest_catalog
from tests.contract.lake_tables import ELEVEN, TABLE, TEN, land, local_settings, warehouse_plan

CANARIES = (PASSWORD, TOKEN, CLIENT[1])


@dataclass(frozen=True)
class Attached:
    """A catalog as the settings name it, and how it fails."""

    settings: Settings
    stop: Callable[[], object]
    start: Callable[[], object]
    gateway: Gateway | None = None

    def lake(self) -> IcebergLake:
        return IcebergLake(self.settings)

    def lake_with_table(self) -> tuple[IcebergLake, Table]:
        lake = self.lake()
        lake.ensure_table(warehouse_plan())
        return lake, lake.load(TABLE)


@pytest.fixture(scope="module")
def database() -> Iterator[Postgres]:
    with postgres() as started:
        yield started


@pytest.fixture(scope="module")
def rest(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    with rest_catalog({"warehouse": f"file://{tmp_path_factory.mktemp('rest')}"}) as behind, gateway(behind) as before:
        yield before


Attach = Callable[[str], Attached]


@pytest.fixture
def attach(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Attach:
    def of(kind: str) -> Attached:
        settings = local_settings(tmp_path)
        if kind == "sqlite":
            database = tmp_path / "catalog.db"
            return Attached(settings, lambda: database.chmod(0), lambda: database.chmod(0o600))
        if kind == "postgresql":
            server: Postgres = request.getfixturevalue("database")
            server.clear()
            monkeypatch.setenv("PGPASSFILE", str(server.password_file))
            return Attached(_at(settings, uri=server.url), server.stop, server.start)
        before: Gateway = request.getfixturevalue("rest")
        monkeypatch.setenv("CATALOG_TOKEN", TOKEN)
        catalog = {"type": "rest", "uri": before.url, "token": "env:CATALOG_TOKEN"}
        attached = Attached(_at(settings, **catalog), _switch(before, True), _switch(before, False), before)
        _clear(attached.lake())
        return attached

    return of


SERVERS = [pytest.param(kind, marks=pytest.mark.stack) for kind in ("postgresql", "rest")]
CATALOGS = ["sqlite", *SERVERS]


@pytest.fixture(params=CATALOGS)
def attached(request: pytest.FixtureRequest, attach: Attach) -> Attached:
    return attach(request.param)


@pytest.fixture(params=SERVERS)
def attached_to_server(request: pytest.FixtureRequest, attach: Attach) -> Attached:
    return attach(request.param)


def _at(settings: Settings, **catalog: str) -> Settings:
    return settings.model_copy(update={"catalog": {**settings.catalog, **catalog}})


def _switch(before: Gateway, closed: bool) -> Callable[[], None]:
    return lambda: setattr(before, "closed", closed)


def _clear(lake: IcebergLake) -> None:
    for table in lake.tables():
        lake.catalog.drop_table(table)


def offsets(lake: IcebergLake) -> list[int]:
    found: list[int] = lake.load(TABLE).scan(selected_fields=("_offset",)).to_arrow()["_offset"].to_pylist()
    return sorted(found)


def test_a_table_is_made_evolved_and_left_alone(attached: Attached) -> None:
    lake, table = attached.lake_with_table()
    land(table, range(10))
    assert not attached.lake().ensure_table(warehouse_plan()).is_change
    change = lake.ensure_table(warehouse_plan(("user_id", Scalar.BIGINT), ("new", Scalar.DOUBLE)))
    assert (change.created, len(change.added)) == (False, 1)
    assert lake.tables() == (TABLE,)
    assert lake.load(TABLE).scan().to_arrow()["new"].to_pylist() == [None] * 10


def test_two_creators_at_once_both_succeed(attached: Attached) -> None:
    lakes = [attached.lake() for _ in range(4)]
    lakes[0].tables()  # a SQL catalog's own tables are made once
    with ThreadPoolExecutor(4) as pool:
        changes = list(pool.map(lambda lake: lake.ensure_table(warehouse_plan()), lakes))
    assert sum(change.created for change in changes) == 1
    assert attached.lake().tables() == (TABLE,)


def test_two_routes_that_evolve_one_table_at_once_both_get_their_columns(attached: Attached) -> None:
    attached.lake_with_table()
    plans = [warehouse_plan(("user_id", Scalar.BIGINT), (f"column_{number}", Scalar.INT)) for number in range(3)]
    with ThreadPoolExecutor(3) as pool:
        list(pool.map(lambda plan: attached.lake().ensure_table(plan), plans))
    assert {f"column_{number}" for number in range(3)} < set(attached.lake().load(TABLE).schema().column_names)


def test_appenders_at_once_lose_nothing(attached: Attached) -> None:
    lake, _ = attached.lake_with_table()

    def append(number: int) -> None:
        land(attached.lake().load(TABLE), range(number * 10, number * 10 + 10))

    with ThreadPoolExecutor(3) as pool:
        list(pool.map(append, range(3)))
    assert offsets(lake) == list(range(30))


def test_head_totals_and_changes_follow_every_commit(attached: Attached) -> None:
    lake, table = attached.lake_with_table()
    empty = lake.head(TABLE)
    assert empty is not None
    assert (empty.snapshot_id, empty.rows) == (None, 0)
    land(table, range(100), files=4)
    seen = lake.head(TABLE)
    land(table, range(100, 130), hour=ELEVEN)
    head = lake.head(TABLE)
    assert seen is not None
    assert head is not None
    assert (head.rows, head.files) == (130, 5)
    assert head.metadata_location != seen.metadata_location
    assert [(total.hour, total.rows) for total in lake.hours(TABLE)] == [(TEN, 100), (ELEVEN, 30)]
    (change,) = lake.changes_since(TABLE, seen.snapshot_id).hours
    assert (change.hour, change.rows_added) == (ELEVEN, 30)
    compact_hour(lake, TABLE, TEN)
    (change,) = lake.changes_since(TABLE, head.snapshot_id).hours
    assert (change.hour, change.rows_added, change.new_data) == (TEN, 0, False)


def test_duckdb_reads_what_the_catalog_points_at(attached: Attached) -> None:
    lake, table = attached.lake_with_table()
    land(table, range(50), files=5)
    compact_hour(lake, TABLE, TEN)
    land(table, range(50, 60))
    with open_session(attached.settings) as session:
        assert session.execute(f"SELECT count(*), count(DISTINCT _offset) FROM {TABLE}").fetchone() == (60, 60)


def test_a_compaction_and_an_append_that_land_between_each_other_both_stay(
    attached: Attached, monkeypatch: pytest.MonkeyPatch
) -> None:
    lake, table = attached.lake_with_table()
    land(table, range(100), files=5)
    real = compact.replace_files

    def late(*arguments: object) -> int:
        land(attached.lake().load(TABLE), range(100, 150))
        return real(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(compact, "replace_files", late)
    assert compact_hour(lake, TABLE, TEN).files_after == 2
    assert offsets(lake) == list(range(150))


def test_tags_and_branches_are_kept_and_read(attached: Attached) -> None:
    lake, table = attached.lake_with_table()
    land(table, range(10))
    table.refresh()
    first = table.metadata.current_snapshot_id
    assert first is not None
    table.manage_snapshots().create_tag(first, "proven").create_branch(first, "backfill-1").commit()
    land(table, range(10, 20))
    loaded = attached.lake().load(TABLE)
    assert {name: str(ref.snapshot_ref_type) for name, ref in loaded.refs().items()}.keys() == {
        "main",
        "proven",
        "backfill-1",
    }
    tagged = loaded.snapshot_by_name("proven")
    assert tagged is not None
    assert loaded.scan(snapshot_id=tagged.snapshot_id).to_arrow().num_rows == 10
    assert len(offsets(lake)) == 20


def test_a_catalog_that_is_away_is_transient_and_comes_back(attached_to_server: Attached) -> None:
    lake, table = attached_to_server.lake_with_table()
    land(table, range(10))
    attached_to_server.stop()
    try:
        for act in (lake.tables, lambda: lake.hours(TABLE), lambda: lake.ensure_table(warehouse_plan())):
            with pytest.raises(Transient) as caught:
                act()
            assert _tells_no_secret(caught.value)
    finally:
        attached_to_server.start()
    assert offsets(lake) == list(range(10)), "the same client goes on"


@pytest.mark.stack
def test_a_catalog_that_says_nothing_is_given_up(attach: Attach, monkeypatch: pytest.MonkeyPatch) -> None:
    attached = attach("rest")
    lake, _ = attached.lake_with_table()
    assert attached.gateway is not None
    monkeypatch.setattr(rest_client, "READ_TIMEOUT_S", 0.3)
    monkeypatch.setattr(attached.gateway, "delay_s", 2.0)
    for silent in (lake, attached.lake()):
        with pytest.raises(Transient, match="does not answer"):
            silent.tables()


@pytest.mark.stack
def test_a_wrong_password_is_told_without_it(attach: Attach, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    attached = attach("postgresql")
    wrong = tmp_path / "pgpass"
    wrong.touch(mode=0o600)
    wrong.write_text("*:*:*:*:canary-of-a-wrong-password\n")
    monkeypatch.setenv("PGPASSFILE", str(wrong))
    with pytest.raises(KeystoneError) as caught:
        attached.lake().tables()
    assert "canary" not in str(caught.value)


@pytest.mark.stack
def test_a_token_that_the_catalog_refuses_is_terminal(attach: Attach, monkeypatch: pytest.MonkeyPatch) -> None:
    attached = attach("rest")
    monkeypatch.setenv("CATALOG_TOKEN", "canary-of-a-wrong-token")
    with pytest.raises(Terminal, match="the catalog refuses access") as caught:
        attached.lake().tables()
    assert "canary" not in str(caught.value)
    monkeypatch.delenv("CATALOG_TOKEN")
    with pytest.raises(Terminal, match="CATALOG_TOKEN is not set"):
        attached.lake().tables()


@pytest.mark.stack
def test_the_credential_of_a_client_buys_the_token(attach: Attach, tmp_path: Path) -> None:
    attached = attach("rest")
    catalog = {key: value for key, value in attached.settings.catalog.items() if key != "token"}
    (tmp_path / "credential").write_text(":".join(CLIENT) + "\n")
    settings = attached.settings.model_copy(
        update={"catalog": {**catalog, "credential": f"file:{tmp_path}/credential"}}
    )
    assert IcebergLake(settings).ensure_table(warehouse_plan()).created
    (tmp_path / "credential").write_text("keystone:canary-of-another-client")
    with pytest.raises(Terminal, match="the catalog refuses access") as caught:
        IcebergLake(settings).tables()
    assert "canary" not in str(caught.value)


@pytest.mark.stack
@pytest.mark.parametrize(
    "answers",
    [
        ["refuse"],
        ["lose"],
        ["commit, then break"],
        ["commit, then 502"],
        ["refuse", "commit, then 502"],
        ["lose", "commit, then break"],
    ],
    ids=str,
)
def test_a_compactions_commit_whose_answer_is_lost_takes_effect_once(attach: Attach, answers: list[str]) -> None:
    attached = attach("rest")
    lake, table = attached.lake_with_table()
    land(table, range(100), files=5)
    assert attached.gateway is not None
    attached.gateway.answers = list(answers)
    report = compact_hour(lake, TABLE, TEN)
    assert attached.gateway.answers == []
    assert report.snapshot_id == lake.load(TABLE).metadata.current_snapshot_id
    assert offsets(lake) == list(range(100))
    assert lake.hours(TABLE)[0].files == 1


@pytest.mark.stack
def test_when_nobody_knows_the_outcome_the_new_files_stay(attach: Attach) -> None:
    attached = attach("rest")
    lake, table = attached.lake_with_table()
    land(table, range(100), files=5)
    assert attached.gateway is not None
    attached.gateway.answers = ["lose"] * 20
    with pytest.raises(UnknownOutcome):
        compact_hour(lake, TABLE, TEN)
    attached.gateway.answers = []
    assert offsets(lake) == list(range(100))
    assert compact_hour(lake, TABLE, TEN).files_after == 1


def _tells_no_secret(error: BaseException) -> bool:
    return not any(canary in f"{error} {error!r}" for canary in CANARIES)
