"""`keystone schema`: what is printed of the published versions."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from keystone_platform.cli import app
from keystone_platform.errors import InvalidSpec, InvalidSpecs
from keystone_platform.gateways.ledger import SqlLedger
from tests.contract.lake_tables import local_settings
from tests.unit.spec.files import MINIMAL


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    ledger = f"sqlite:///{tmp_path}/ledger.db"
    SqlLedger(ledger)
    file = tmp_path / "settings.json"
    settings = local_settings(tmp_path).model_copy(update={"ledger_url": ledger})
    file.write_text(settings.model_dump_json())
    monkeypatch.setenv("KEYSTONE_SETTINGS", str(file))
    streams = tmp_path / "streams"
    streams.mkdir()
    monkeypatch.setenv("KEYSTONE_STREAMS", str(streams))
    (streams / "plays.yaml").write_text(MINIMAL)
    return streams


def run(*arguments: str) -> str:
    ran = CliRunner().invoke(app, ["schema", *arguments], catch_exceptions=False)
    assert ran.exit_code == 0
    return ran.stdout


def test_versions_are_published_listed_shown_and_written(folder: Path, tmp_path: Path) -> None:
    assert "published" in run("publish")
    (folder / "plays.yaml").write_text(
        MINIMAL.replace("bigint", "double").replace("schema", "compatibility: none\nschema")
    )
    to = tmp_path / "out"
    (published,) = json.loads(run("publish", "--to", str(to), "--json"))["versions"]
    assert (published["version"], published["new"], published["compatibility"]) == (2, True, "none")
    assert [each["version"] for each in json.loads(run("list", "--json"))["versions"]] == [1, 2]
    first, newest = json.loads(run("show", "plays", "--version", "1")), json.loads(run("show", "plays"))
    assert first["properties"]["user_id"]["x-keystone-type"] == "bigint"
    assert newest["properties"]["user_id"]["x-keystone-type"] == "double"
    assert json.loads((to / "plays" / "1.json").read_text()) == first
    assert json.loads((to / "plays" / "latest.json").read_text()) == newest
    assert "plays" in run("list")


def test_what_is_declared_is_shown_without_any_server(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KEYSTONE_SETTINGS")
    assert json.loads(run("show", "plays", "--declared"))["title"] == "plays"


def test_a_change_that_breaks_the_rule_publishes_nothing(folder: Path) -> None:
    run("publish")
    (folder / "plays.yaml").write_text(MINIMAL.replace("user_id: bigint", "user_id: int"))
    with pytest.raises(InvalidSpecs) as refused:
        run("publish")
    (error,) = refused.value.errors
    assert (error.line, error.field) == (4, "schema.user_id")
    assert len(json.loads(run("list", "--json"))["versions"]) == 1


@pytest.mark.parametrize("arguments", [("show", "plays"), ("show", "nobody"), ("show", "nobody", "--declared")])
def test_what_is_not_there_is_an_error_that_says_what_to_do(folder: Path, arguments: tuple[str, ...]) -> None:
    with pytest.raises(InvalidSpec) as refused:
        run(*arguments)
    assert refused.value.mend
