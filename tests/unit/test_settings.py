"""A settings file that a person wrote: what is wrong with it is told by its name and field."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from keystone_platform.cli import app
from keystone_platform.errors import InvalidSpec, KeystoneError, Terminal
from keystone_platform.settings import SETTINGS_VARIABLE, load_settings
from tests.e2e.platform import stream_yaml

GOOD: dict[str, Any] = {
    "kafka": {"bootstrap.servers": "kafka:9092"},
    "s3": {"endpoint": "http://s3", "access_key_id": "key", "secret_access_key": "s3cr3t"},
    "catalog": {"type": "sql", "uri": "sqlite:////data/catalog.db"},
    "flink_rest": "http://flink:8081",
    "dagster_url": "http://dagster:3000",
    "ledger_url": "postgresql+psycopg://keystone:s3cr3t@db/ledger",
}


def load(folder: Path, document: bytes) -> object:
    file = folder / "settings.json"
    file.write_bytes(document)
    return load_settings({"KEYSTONE_SETTINGS": str(file)})


def test_a_good_file_is_read_and_its_secrets_are_not_shown(tmp_path: Path) -> None:
    assert "s3cr3t" not in repr(load(tmp_path, json.dumps(GOOD).encode()))


@pytest.mark.parametrize(
    ("change", "field", "what"),
    [
        ({"kafka": {}}, "kafka", "`bootstrap.servers` is missing"),
        ({"catalog": {}}, "catalog", "`type` and `uri` missing"),
        ({"catalog": {"type": "rest", "uri": "http://c", "token": "s3cr3t"}}, "catalog", "where the secret is found"),
        ({"s3": None}, "s3", "should be an object"),
        ({"colour": "red"}, "colour", "Extra inputs"),
        ({"flink_rest": ""}, "", "one of `flink_rest` and `kubernetes`"),
        ({"kubernetes": {"namespace": "a", "image": "b"}}, "", "one of `flink_rest` and `kubernetes`"),
        ({"kubernetes": {"namespace": "a", "image": "b", "slots": 0}}, "kubernetes.slots", "greater than 0"),
    ],
)
def test_what_is_wrong_is_named_by_field(tmp_path: Path, change: dict[str, Any], field: str, what: str) -> None:
    with pytest.raises(InvalidSpec, match=what) as error:
        load(tmp_path, json.dumps(GOOD | change).encode())
    assert error.value.field == field
    assert error.value.file.endswith("settings.json")
    assert "s3cr3t" not in str(error.value)


@pytest.mark.parametrize("document", [b"", b"{", b"\xff\xfe{}", b"[]"])
def test_what_is_no_json_object_is_an_error_of_the_file(tmp_path: Path, document: bytes) -> None:
    with pytest.raises(InvalidSpec):
        load(tmp_path, document)


def test_a_file_that_is_not_there_tells_how_to_get_one(tmp_path: Path) -> None:
    with pytest.raises(Terminal, match="keystone up"):
        load_settings({"KEYSTONE_SETTINGS": str(tmp_path / "none.json")})


@pytest.mark.parametrize("text", ['{"slotquotas": {}}', "no json", None])
def test_plan_does_not_take_wrong_settings_for_a_fleet_that_never_ran(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str | None
) -> None:
    named = tmp_path / "settings.json"
    if text is not None:
        named.write_text(text)
    monkeypatch.setenv(SETTINGS_VARIABLE, str(named))
    (tmp_path / "streams").mkdir()
    (tmp_path / "streams" / "one.yaml").write_text(stream_yaml("one"))
    result = CliRunner().invoke(app, ["plan", "--streams", str(tmp_path / "streams")])
    assert isinstance(result.exception, KeystoneError)
    assert str(named) in str(result.exception)
