"""`keystone upkeep`: what it is told, what it says, and how it ends."""

from __future__ import annotations

import io
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from rich.console import Console
from typer.testing import CliRunner

from assets.upkeep.report import Removal, TableReport
from keystone_platform.cli import app
from keystone_platform.commands.upkeep import show
from keystone_platform.errors import InvalidSpec, KeystoneError
from keystone_platform.settings import SETTINGS_VARIABLE, STREAMS_VARIABLE
from tests.contract.lake_tables import TABLE, lake_with_table, land, local_settings

STREAM = f"""
stream: playback
owner: team:player
schema: {{user_id: bigint}}
routes:
  - sink: {{warehouse: {{table: {TABLE}, keep_days: 2}}}}
"""
LONG_AGO = datetime(2026, 9, 1, 10, tzinfo=UTC)


@pytest.fixture
def table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):  # noqa: ANN201
    (tmp_path / "streams").mkdir()
    (tmp_path / "streams" / "playback.yaml").write_text(STREAM)
    (tmp_path / "settings.json").write_text(local_settings(tmp_path).model_dump_json())
    monkeypatch.setenv(STREAMS_VARIABLE, str(tmp_path / "streams"))
    monkeypatch.setenv(SETTINGS_VARIABLE, str(tmp_path / "settings.json"))
    return lake_with_table(tmp_path)[1]


def run(*arguments: str) -> tuple[str, BaseException | None]:
    done = CliRunner().invoke(app, ["upkeep", *arguments])
    return done.stdout, done.exception


def test_retention_goes_by_the_yaml_and_a_dry_run_touches_nothing(table) -> None:  # noqa: ANN001
    land(table, range(10), hour=LONG_AGO)
    land(table, range(10, 15), hour=datetime.now(UTC).replace(minute=0, second=0, microsecond=0) - timedelta(hours=1))
    for options, rows in ((["--dry-run"], 15), ([], 5)):
        out, error = run("--only", "retention", "--json", *options)
        assert error is None
        (report,) = json.loads(out)
        gone = {each["thing"]: each["count"] for each in report["removed"]}
        assert (report["table"], gone) == (TABLE, {"hours": 1, "rows": 10})
        assert table.refresh().scan().to_arrow().num_rows == rows


def test_a_table_that_fails_is_told_with_the_others_done(table) -> None:  # noqa: ANN001
    land(table, range(10), hour=LONG_AGO)
    out, error = run("events.nope", TABLE, "--only", "retention")
    assert isinstance(error, KeystoneError)
    assert "1 of 2 tables failed: events.nope: no table events.nope" in str(error)
    assert "10" in out
    assert table.refresh().scan().to_arrow().num_rows == 0


@pytest.mark.parametrize("options", [["--older-than", "1d"], ["--only", "orphans", "--older-than", "59m"]])
def test_an_age_that_could_harm_is_refused(table, options: list[str]) -> None:  # noqa: ANN001
    assert isinstance(run(*options)[1], InvalidSpec)


def test_people_read_what_went_and_what_was_left_alone() -> None:
    removed = (Removal("snapshots", 2_000, 0, LONG_AGO), Removal("data files", 3, 4_000_000))
    console = Console(file=(out := io.StringIO()), width=200)
    show([TableReport(TABLE, removed, ("left alone: x",), dry_run=True)], console)
    for told in ("2,000", "2026-09-01 10:00", "4.0 MB would be freed: nothing was touched", "left alone: x"):
        assert told in out.getvalue()
