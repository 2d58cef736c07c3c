"""`keystone produce` and `keystone gateway`: what can't be meant is told before anything is touched."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest
from typer.testing import CliRunner

from keystone_platform.cli import app
from keystone_platform.errors import KeystoneError
from keystone_platform.settings import S3Settings, Settings

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


def test_a_gateway_that_is_stopped_with_kafka_away_ends_in_time_and_tells_what_it_held(folder: Path) -> None:
    attach = Settings(
        kafka={"bootstrap.servers": "127.0.0.1:1"},
        s3=S3Settings(endpoint="http://127.0.0.1:1", access_key_id="a", secret_access_key="b"),
        catalog={"type": "sql", "uri": "sqlite://"},
        flink_rest="http://127.0.0.1:1",
        dagster_url="http://127.0.0.1:1",
        ledger_url="sqlite://",
    )
    (folder / "settings.json").write_text(attach.model_dump_json())
    code = "from keystone_platform.cli import main; main()"
    options = ["--port", "0", "--json", "--stop-within", "1", "--ack-timeout", "60"]
    headers = {"ce-specversion": "1.0", "ce-id": "1", "ce-source": "a/b", "ce-type": "playback"}
    with subprocess.Popen(
        [sys.executable, "-c", code, "gateway", *options], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None and process.stderr is not None
        url = json.loads(process.stdout.readline())["url"]
        with ThreadPoolExecutor() as pool:
            waiting = pool.submit(httpx.post, url, headers=headers, content=b"{}", timeout=60)
            while "keystone_producer_attempted_total{" not in httpx.get(f"{url}/metrics").text:
                assert not waiting.done()
            began = time.monotonic()
            process.terminate()
            counts, status = json.loads(process.stdout.readline()), process.wait(30)
            answer = waiting.result()
        assert time.monotonic() - began < 15
        assert (counts, status) == ({"attempted": 1, "acknowledged": 0, "dropped": {"closed": 1}}, 1)
        assert (answer.status_code, answer.json()["error"]) == (503, "closed")
        assert "Traceback" not in process.stderr.read()


def test_made_up_events_as_lines_need_no_server_and_are_the_same_each_time(folder: Path) -> None:
    arguments = ["produce", "playback", "--synthetic", "--seed", "1", "--count", "20", "--broken", "0", "--to"]
    for name in ("one", "two"):
        assert CliRunner().invoke(app, [*arguments, str(folder / name)]).exit_code == 0
    assert (folder / "one").read_bytes() == (folder / "two").read_bytes()
    events = [json.loads(line) for line in (folder / "one").read_text().splitlines()]
    assert len({event["user_id"] for event in events}) > 15
