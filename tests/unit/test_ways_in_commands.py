"""`keystone produce` and `keystone gateway`: what can't be meant is told before anything is touched."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from keystone_platform.cli import app
from keystone_platform.errors import KeystoneError

YAML = """
stream: playback
owner: team:player
schema: {user_id: bigint, country: string}
routes:
  - sink: {warehouse: {table: events.playback}}
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "streams").mkdir()
    (tmp_path / "streams/playback.yaml").write_text(YAML)
    monkeypatch.setenv("KEYSTONE_STREAMS", str(tmp_path / "streams"))
    monkeypatch.setenv("KEYSTONE_HOME", str(tmp_path))
    return tmp_path


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["produce", "nobody"], "no stream 'nobody'"),
        (["produce", "playback", "--seed", "1"], "--synthetic"),
        (["produce", "playback", "--count", "5", "--max-size", "9"], "--count, --max-size: about made-up events"),
        (["produce", "playback", "--synthetic", "a.ndjson"], "files: not about made-up events"),
        (["produce", "playback", "--synthetic", "--strict"], "--strict: not"),
        (["produce", "playback", "--synthetic", "--expect"], "--seed"),
        (["produce", "playback", "--synthetic", "--shape", "wave"], "--rate"),
        (["produce", "playback", "--synthetic", "--size", "900", "--max-size", "800"], "--max-size"),
        (["produce", "playback"], "keystone up"),
        (["gateway", "--tls-key", "key.pem"], "belong together"),
        (["gateway", "--token", "env:NOT_SET_ANYWHERE"], "NOT_SET_ANYWHERE"),
        (["gateway"], "keystone up"),
    ],
)
def test_what_can_t_be_meant_is_told(folder: Path, arguments: list[str], told: str) -> None:
    result = CliRunner().invoke(app, arguments)
    assert isinstance(result.exception, KeystoneError)
    assert told in str(result.exception)


def test_made_up_events_as_lines_need_no_server_and_are_the_same_each_time(folder: Path) -> None:
    arguments = ["produce", "playback", "--synthetic", "--seed", "1", "--count", "20", "--broken", "0", "--to"]
    for name in ("one", "two"):
        assert CliRunner().invoke(app, [*arguments, str(folder / name)]).exit_code == 0
    assert (folder / "one").read_bytes() == (folder / "two").read_bytes()
    events = [json.loads(line) for line in (folder / "one").read_text().splitlines()]
    assert len({event["user_id"] for event in events}) > 15
