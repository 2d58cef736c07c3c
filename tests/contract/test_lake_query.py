"""Queries over real tables, as `keystone sql` and the demo make them."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest
from rich.console import Console
from typer.testing import CliRunner

from keystone_platform.cli import app
from keystone_platform.errors import InvalidSpec
from keystone_platform.gateways.lake import IcebergLake
from keystone_platform.query.answer import SHOWN_ROWS, ask, write_csv, write_json, write_table
from keystone_platform.query.session import bare_session, open_session
from keystone_platform.settings import SETTINGS_VARIABLE, Settings
from keystone_platform.spec.types import Field, Scalar, Struct
from tests.contract.lake_tables import ELEVEN, TABLE, lake_with_table, land, local_settings, warehouse_plan

DEVICE = ("device", Struct((Field("os", Scalar.STRING),)))


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    lake, table = lake_with_table(tmp_path, ("user_id", Scalar.BIGINT), DEVICE)
    land(table, range(300), files=3)
    land(table, range(300, 310), hour=ELEVEN)
    lake.ensure_table(warehouse_plan(DEVICE, table="events.empty"))
    return local_settings(tmp_path)


def test_a_table_without_a_commit_has_its_columns_and_no_rows(settings: Settings) -> None:
    answer = ask(settings, "select * from events.empty")
    assert answer.columns[:2] == ("device", "_guid")
    out = io.StringIO()
    write_json(answer, out)
    assert json.loads(out.getvalue()) == []


def test_json_keeps_columns_of_the_same_name_and_is_json_where_numbers_are_not(settings: Settings) -> None:
    out = io.StringIO()
    write_json(ask(settings, "select 1 a, 2 a, 'nan'::double x, ['inf'::double, 1.5] y"), out)

    def refuse(constant: str) -> None:
        pytest.fail(f"{constant} is no JSON")

    assert json.loads(out.getvalue(), parse_constant=refuse) == [{"a": 1, "a_1": 2, "x": None, "y": [None, 1.5]}]


def test_json_and_csv_hold_every_row_and_the_same_values(settings: Settings) -> None:
    sql = "select _offset, _time, device, user_id from events.playback order by _offset"
    as_json, as_csv = io.StringIO(), io.StringIO()
    write_json(ask(settings, sql), as_json)
    write_csv(ask(settings, sql), as_csv)
    objects = json.loads(as_json.getvalue())
    lines = list(csv.DictReader(io.StringIO(as_csv.getvalue())))
    assert [row["_offset"] for row in objects] == list(range(310)) == [int(line["_offset"]) for line in lines]
    assert objects[0]["_time"] == lines[0]["_time"] == "2026-11-01T10:00:00+00:00"


def test_bytes_structs_and_odd_text_survive_json(settings: Settings) -> None:
    out = io.StringIO()
    sql = "select '\\xFF'::blob as raw, 'ok'::blob as text, {'os': 'tv \"x\"'} as device, 1.50::decimal(9,2) as price"
    write_json(ask(settings, sql), out)
    assert json.loads(out.getvalue()) == [{"raw": "/w==", "text": "ok", "device": {"os": 'tv "x"'}, "price": 1.5}]


def test_a_long_answer_is_cut_for_people_and_counted(settings: Settings) -> None:
    shown = Console(file=io.StringIO(), width=80)
    assert write_table(ask(settings, "select _offset from events.playback"), shown) == 310
    assert shown.file.getvalue().count("\n") == SHOWN_ROWS + 2


def test_hours_are_utc_whatever_the_machine_says(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    out = io.StringIO()
    write_json(ask(settings, "select distinct hour(_time) as h from events.playback order by h"), out)
    assert [row["h"] for row in json.loads(out.getvalue())] == [10, 11]


def test_a_session_shows_one_moment(settings: Settings) -> None:
    lake = IcebergLake(settings)
    with open_session(settings) as session:
        land(lake.load(TABLE), range(310, 320))
        assert session.execute(f"select count(*) from {TABLE}").fetchone() == (310,)
    with open_session(settings, [TABLE]) as session:
        assert session.execute(f"select count(*) from {TABLE}").fetchone() == (320,)


def test_an_unknown_table_names_the_known_ones(settings: Settings) -> None:
    with pytest.raises(InvalidSpec, match=r"events\.empty, events\.playback"):
        ask(settings, "select * from events.play")


def test_a_wrong_statement_says_where(settings: Settings) -> None:
    with pytest.raises(InvalidSpec, match=r"LINE 1"):
        ask(settings, "select from where")


def test_no_extension_is_ever_downloaded(settings: Settings) -> None:
    with bare_session(settings.s3) as session:
        found = dict(
            session.execute(
                "select name, value from duckdb_settings() where name in "
                "('autoinstall_known_extensions', 'autoload_known_extensions')"
            ).fetchall()
        )
    assert set(found.values()) == {"false"}


def test_the_secret_of_s3_is_not_in_a_plan_or_setting(settings: Settings) -> None:
    s3 = settings.s3.model_copy(update={"secret_access_key": "canary'secret"})
    with bare_session(s3) as session:
        told = str(session.execute("from duckdb_secrets()").fetchall())
    assert "canary" not in told


def test_the_command_line(settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "settings.json"
    file.write_text(settings.model_dump_json())
    monkeypatch.setenv(SETTINGS_VARIABLE, str(file))
    run = CliRunner().invoke
    assert json.loads(run(app, ["sql", "-", "--json"], input=f"select count(*) as n from {TABLE}").stdout) == [
        {"n": 310}
    ]
    assert run(app, ["sql", "select 1 as one", "--csv"]).stdout == "one\n1\n"
    assert "1 row" in run(app, ["sql", "select 1 as one"]).stdout
    assert isinstance(run(app, ["sql", "select 1", "--csv", "--json"]).exception, InvalidSpec)
    assert [table["rows"] for table in json.loads(run(app, ["tables", "--json"]).stdout)] == [0, 310]
    assert json.loads(run(app, ["compact", TABLE, "--hour", "2026-11-01T10", "--json"]).stdout)[0]["files_after"] == 1
    assert run(app, ["compact", TABLE]).stdout.startswith("nothing to compact")
    empty = run(app, ["compact", TABLE, "--hour", "2020-01-01T00", "--json"])
    assert json.loads(empty.stdout)[0]["rows"] == 0
    assert "has no rows with a `_time` in the hour 2020-01-01 00 (UTC)" in empty.stderr
