"""Attacks on a locked session, each tried on real DuckDB over real tables, and what has to go on working in it."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest

from keystone_platform.errors import InvalidSpec, KeystoneError
from keystone_platform.gateways.lake import IcebergLake
from keystone_platform.query.locked import Limits, LockedSession, locked_session
from keystone_platform.settings import SETTINGS_VARIABLE, Settings
from tests.contract.lake_tables import ELEVEN, TABLE, lake_with_table, land, local_settings, warehouse_plan

OTHER = "events.payroll"


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    folder = tmp_path_factory.mktemp("locked")
    lake, table = lake_with_table(folder)
    land(table, range(100))
    land(table, range(100, 110), hour=ELEVEN)
    lake.ensure_table(warehouse_plan(table=OTHER))
    land(lake.load(OTHER), range(7))
    (folder / "warehouse" / "private.csv").write_text("secret\ncanary\n")
    return local_settings(folder)


@pytest.fixture(scope="module")
def locked(settings: Settings) -> Iterator[LockedSession]:
    session = locked_session(settings, [TABLE], limits=Limits(timeout_s=20, rows=1000))
    yield session
    session.close()


@pytest.fixture(scope="module")
def places(settings: Settings) -> dict[str, str]:
    """What attacks name: files of the granted table and of another, and one that is no table's."""
    lake = IcebergLake(settings)
    warehouse = settings.catalog["warehouse"]
    own, other = lake.load(TABLE), lake.load(OTHER)
    return {
        "own": own.metadata_location,
        "own_folder": own.location().removeprefix("file://"),
        "other": other.metadata_location,
        "other_file": next(iter(other.scan().plan_files())).file.file_path,
        "private": f"{warehouse}/private.csv".removeprefix("file://"),
    }


ANSWERED = [
    f"select count(*) from {TABLE}",
    f"-- a comment\nwith late as (select * from {TABLE} where _time >= '2026-11-01 11:00') select count(*) from late",
    f"select a.user_id, count(*) from {TABLE} a join {TABLE} b using (user_id) group by all order by 2 desc limit 3",
    f"from {TABLE} select hour(_time), count(*) group by all",
    f"describe {TABLE}",
    f"summarize select user_id from {TABLE}",
    "show all tables",
    "select table_name from information_schema.tables",
    f"explain analyze select count(*) from {TABLE}",
    "select * from range(3), unnest([1, 2])",
    f"select list_transform([1, 2], lambda x: x + 1), (select max(user_id) from {TABLE})",
    f"from (pivot {TABLE} on _partition in (0) using count(*) group by user_id) limit 1",
]


@pytest.mark.parametrize("sql", ANSWERED)
def test_a_query_of_a_granted_table_is_answered(locked: LockedSession, sql: str) -> None:
    assert list(locked.query(sql).rows())


REFUSED = [
    # another table, by its view, its metadata, its files
    f"select * from {OTHER}",
    f'select * from "EVENTS"."payroll" union all select * from {TABLE}',
    "select * from iceberg_scan('{other}')",
    "select * from iceberg_snapshots('{other}')",
    "select * from '{other_file}'",
    "describe '{other_file}'",
    "summarize from '{other_file}'",
    "select * from read_parquet('{other_file}')",
    "select (select count(*) from parquet_scan('{other_file}'))",
    f"select * from {TABLE} where user_id in (select user_id from read_parquet('{{other_file}}'))",
    f"from {TABLE} select exists(from parquet_metadata('{{other_file}}'))",
    "with recursive t as (select 1 union all from read_csv('{private}')) from t",
    # a name that is a table expression here and a file there
    """(with "{other_file}" as (select 1) from "{other_file}") union all select user_id from "{other_file}" """,
    # the granted table's own files, past its view (which may show proven rows only)
    "select * from iceberg_scan('{own}')",
    "select * from glob('{own_folder}/**')",
    "select * from read_text('s3://keystone/warehouse/events/playback/x?s3_endpoint=127.0.0.1:9')",
    # files and the network
    "select * from read_csv('{private}')",
    "select * from read_text('/etc/passwd')",
    "select * from '/etc/passwd'",
    "from sniff_csv('{private}')",
    "select * from read_blob('/proc/self/environ')",
    "select * from read_csv('https://example.com/x.csv')",
    "select * from read_duckdb('{private}')",
    # text that is run, memory that is read, Python that is called
    "from query('select * from read_csv(''{private}'')')",
    "from query_table(['{other_file}'])",
    "from json_execute_serialized_sql(json_serialize_sql('from duckdb_settings()'))",
    "select json_deserialize_sql(json_serialize_sql('select 1'))",
    "from arrow_scan(1, 2, 3)",
    "from pandas_scan(1)",
    "from python_map_function(1)",
    "select * from settings",
    "call pragma_version()",
    # secrets and settings
    "from duckdb_secrets(redact=false)",
    "from duckdb_secrets()",
    "from which_secret('s3://keystone/x', 's3')",
    "from duckdb_settings()",
    "select current_setting('secret_directory')",
    "select getenv('HOME')",
    "create secret mine (type s3, endpoint '127.0.0.1:9')",
    "set memory_limit = '64GB'",
    "reset threads",
    "set variable a = 1",
    "pragma database_list",
    "pragma enable_profiling",
    # writing
    "copy (select 1) to '{own_folder}/x.csv'",
    "copy (select 1) to '/tmp/keystone-attack.csv'",
    "export database '/tmp/keystone-attack'",
    "create table t as select 1",
    "create temp view v as select 1",
    f"create or replace view {TABLE} as select 1",
    f"drop view {TABLE}",
    f"insert into {TABLE} values (1)",
    f"delete from {TABLE}",
    "create macro m() as table from read_csv('{private}')",
    # other databases and code
    "attach '{private}' as x",
    "attach ':memory:' as x",
    "use main",
    "install spatial",
    "load '/tmp/x.duckdb_extension'",
    "prepare p as select 1",
    "execute p",
    "begin",
    "checkpoint",
    # more than one, none, or not what it looks like
    f"select 1; drop view {TABLE}",
    "select 1; select 2",
    "",
    ";",
    "explain copy (select 1) to '/tmp/keystone-attack.csv'",
    "explain analyze create table t as select 1",
    "/* */ explain analyze copy (select 1) to '/tmp/keystone-attack.csv'",
    f"explain (format json) select * from {OTHER}",
    f"explain analyze select * from {OTHER}",
    "pivot (from read_csv('{private}')) on secret",
    "select sleep_ms(100000)",
    "select nope from nowhere",
]


@pytest.mark.parametrize("sql", REFUSED)
def test_an_attack_is_refused_and_the_session_goes_on(
    locked: LockedSession, places: dict[str, str], sql: str, tmp_path: Path
) -> None:
    for name, place in places.items():
        sql = sql.replace("{" + name + "}", place)
    with pytest.raises(KeystoneError) as caught:
        list(locked.query(sql).rows())
    assert isinstance(caught.value, InvalidSpec)
    assert "canary" not in str(caught.value)
    assert list(locked.query(f"select count(*) from {TABLE}").rows()) == [(110,)]
    assert not list(Path("/tmp").glob("keystone-attack*"))


@pytest.mark.parametrize(
    "sql",
    [
        "select " + "+".join(["1"] * 5_000),
        "select " + "[" * 900 + "1" + "]" * 900,
        "select * from " + "(select * from " * 900 + "range(1)" + ")" * 900,
        "select '" + "x" * 5_000_000,
        "select 1 \x00 ; drop view events.playback",
    ],
    ids=["sum", "lists", "subqueries", "text", "zero byte"],
)
def test_a_monstrous_statement_is_an_error_and_no_crash(locked: LockedSession, sql: str) -> None:
    with pytest.raises(InvalidSpec):
        locked.query(sql)
    assert list(locked.query(f"select count(*) from {TABLE}").rows()) == [(110,)]


BY_DUCKDB_ITSELF = [
    "select * from iceberg_scan('{other}')",
    "select * from read_parquet('{other_file}')",
    "select * from read_csv('{private}')",
    "select * from read_csv('{own_folder}/../../private.csv')",
    "select * from glob('{own_folder}/../**')",
    "select * from read_text('/etc/passwd')",
    "select * from read_text('https://example.com/x')",
    "copy (select 1) to '/tmp/keystone-attack.csv'",
    "attach '/tmp/keystone-attack.db' as x",
    "from duckdb_secrets(redact=false)",
    "select * from settings",
    "set memory_limit = '64GB'",
    "set enable_external_access = true",
    "set allowed_directories = ['/']",
    "set lock_configuration = false",
    "set allow_unredacted_secrets = true",
    "install spatial",
    "load '/tmp/x.duckdb_extension'",
]


@pytest.mark.parametrize("sql", BY_DUCKDB_ITSELF)
def test_duckdb_refuses_what_the_check_of_statements_would_miss(
    locked: LockedSession, places: dict[str, str], sql: str
) -> None:
    for name, place in places.items():
        sql = sql.replace("{" + name + "}", place)
    with pytest.raises(duckdb.Error):
        locked._session.execute(sql).fetchall()  # past the check, on purpose


def test_a_query_leaves_no_thread_behind(locked: LockedSession) -> None:
    """One that held the session while the interpreter ended would abort the process."""
    before = threading.enumerate()
    locked.query(f"select count(*) from {TABLE}")
    assert threading.enumerate() == before


def test_a_query_that_does_not_end_is_interrupted(settings: Settings) -> None:
    session = locked_session(settings, [TABLE], limits=Limits(timeout_s=1))
    with pytest.raises(InvalidSpec, match="did not end within 1 s"):
        session.query("select count(*) from range(1000000) a, range(1000000) b where a.range + b.range = 7")
    assert list(session.query("select 1").rows()) == [(1,)]


def test_a_query_that_wants_all_memory_is_refused(settings: Settings) -> None:
    session = locked_session(settings, [TABLE], limits=Limits(memory="100MB"))
    with pytest.raises(InvalidSpec, match="more than 100MB of memory"):
        session.query("select range % 3000000, list(range) from range(30000000) group by all")
    assert list(session.query("select 1").rows()) == [(1,)]


def test_the_command_line_takes_no_more_memory_for_one_huge_value(settings: Settings, tmp_path: Path) -> None:
    (tmp_path / "settings.json").write_text(settings.model_dump_json())
    environment = {**os.environ, SETTINGS_VARIABLE: str(tmp_path / "settings.json")}

    def asked(sql: str) -> subprocess.CompletedProcess[str]:
        command = [
            sys.executable,
            "-c",
            "from keystone_platform.cli import main; main()",
            "sql",
            "--locked",
            "--csv",
            sql,
        ]
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)

    huge = asked("select len(range(1000000000))")  # 8 GB in one value
    assert (huge.returncode, "of memory" in huge.stderr) == (1, True), huge.stderr
    assert asked(f"select count(*) as n from {OTHER}").stdout == "n\n7\n"


def test_an_answer_with_more_rows_than_allowed_is_refused_rather_than_cut(locked: LockedSession) -> None:
    with pytest.raises(InvalidSpec, match="more than 1,000 rows"):
        locked.query("from range(1001)")
    assert len(list(locked.query("from range(1000)").rows())) == 1000


def test_without_a_list_all_tables_are_granted(settings: Settings) -> None:
    session = locked_session(settings)
    assert session.tables == (OTHER, TABLE)
    assert list(session.query(f"select count(*) from {OTHER}").rows()) == [(7,)]


def test_a_table_that_is_not_there_can_not_be_granted(settings: Settings) -> None:
    with pytest.raises(InvalidSpec, match=r"no table events\.nope"):
        locked_session(settings, ["events.nope"])
