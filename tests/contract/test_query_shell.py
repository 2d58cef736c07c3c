"""The interactive shell over real tables: what is typed, what is shown, and what a Ctrl-C ends."""

from __future__ import annotations

import _thread
import contextlib
import io
import json
import os
import pty
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from prompt_toolkit.application import create_app_session
from prompt_toolkit.input import create_pipe_input
from prompt_toolkit.output import DummyOutput
from rich.console import Console

from keystone_platform.commands.shell import converse, history_file, prompt_session
from keystone_platform.gateways.lake import IcebergLake
from keystone_platform.query.completion import Words
from keystone_platform.query.shell import Manner, Shell, is_complete
from keystone_platform.settings import HOME_VARIABLE, SETTINGS_VARIABLE
from tests.contract.lake_tables import ELEVEN, TABLE, lake_with_table, land, local_settings, warehouse_plan

COUNT = f"select count(*) as n from {TABLE};"
ENDLESS = "select count(*) from range(1000000) a, range(1000000) b where a.range + b.range = 7;"


@pytest.fixture(autouse=True)
def sigint_is_heard() -> Iterator[None]:
    """Whoever runs the tests in the background has SIGINT ignored, and processes inherit that."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture
def lake(tmp_path: Path) -> IcebergLake:
    lake, table = lake_with_table(tmp_path)
    land(table, range(10))
    return lake


@pytest.fixture
def shell(lake: IcebergLake, tmp_path: Path) -> Shell:
    console = Console(file=io.StringIO(), width=120)
    return Shell(local_settings(tmp_path), console, Manner("json", timer=False))


@pytest.fixture(scope="module")
def steady(tmp_path_factory: pytest.TempPathFactory) -> Shell:
    """A shell over a table that no test changes."""
    folder = tmp_path_factory.mktemp("steady")
    land(lake_with_table(folder)[1], range(10))
    return Shell(local_settings(folder), Console(file=io.StringIO(), width=120), Manner("json", timer=False))


def typed(shell: Shell, text: str) -> str:
    """Type it and return what is shown."""
    out = shell._console.file = io.StringIO()
    assert shell.handle(text)
    return out.getvalue()


def count(shell: Shell) -> int:
    return int(json.loads(typed(shell, COUNT))[0]["n"])


def test_each_statement_sees_the_newest_rows_and_a_moment_stays(shell: Shell, lake: IcebergLake) -> None:
    assert count(shell) == 10
    land(lake.load(TABLE), range(10, 15))
    assert count(shell) == 15
    assert "the tables as of 20" in typed(shell, ".as-of now")
    time.sleep(0.01)
    land(lake.load(TABLE), range(15, 20), hour=ELEVEN)
    assert count(shell) == 15
    typed(shell, ".as-of newest")
    assert count(shell) == 20


def test_travelling_to_a_moment_that_is_not_there_shows_an_error_and_no_rows(shell: Shell) -> None:
    assert count(shell) == 10
    typed(shell, ".as-of 2026-11-01T10:00")
    assert "had no rows at 2026-11-01T10:00" in typed(shell, COUNT)
    typed(shell, ".as-of proven")
    assert "is proven yet" in typed(shell, COUNT)
    typed(shell, ".as-of snapshot 1")
    assert "has no snapshot 1" in typed(shell, COUNT)
    assert "is no time" in typed(shell, ".as-of whenever")


def test_a_table_that_came_later_is_found(shell: Shell, lake: IcebergLake) -> None:
    assert "events.later" not in typed(shell, ".tables")
    lake.ensure_table(warehouse_plan(table="events.later"))
    assert typed(shell, "select count(*) as n from events.later;") == '[\n {"n": 0}\n]\n'
    assert "events.later" in typed(shell, ".tables")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("select from where;", "error:"),
        ("select * from events.nope;", "Tables: events.playback."),
        (".nope", "is no command"),
        (".schema events.nope", "error:"),
        ("select 1/0 from nowhere;", "error:"),
        ("select 'x", "error:"),
    ],
)
def test_an_error_is_told_and_the_shell_goes_on(steady: Shell, text: str, told: str) -> None:
    assert told in typed(steady, text)
    assert count(steady) == 10


def test_commands_change_what_is_shown(shell: Shell) -> None:
    assert "_offset" in typed(shell, f".schema {TABLE}")
    assert ".as-of" in typed(shell, ".help")
    typed(shell, ".mode csv")
    assert typed(shell, "select 1 as a; select ';' as b;") == "a\n1\nb\n;\n"
    typed(shell, ".mode table")
    typed(shell, ".timer on")
    assert "1 row, 0." in typed(shell, COUNT)
    assert typed(shell, "   ") == typed(shell, ";") == ""
    assert not shell.handle(".quit")


def test_what_a_user_makes_in_the_session_stays(shell: Shell) -> None:
    typed(shell, f"create temp table mine as select user_id from {TABLE};")
    typed(shell, ".as-of now")
    assert '"n": 10' in typed(shell, "select count(*) as n from mine;")


def test_ctrl_c_ends_the_query_and_not_the_shell(steady: Shell) -> None:
    threading.Timer(0.7, _thread.interrupt_main).start()
    started = time.monotonic()
    assert "interrupted" in typed(steady, ENDLESS + COUNT)
    assert time.monotonic() - started < 10
    assert count(steady) == 10


@pytest.mark.parametrize(
    ("text", "complete"),
    [
        ("select 1", False),
        ("select 1;", True),
        ("select 'ü;", False),
        ("select 'ü';", True),
        ("select 1 -- ;", False),
        ("select 1; -- done", True),
        ("select $$ ; $$", False),
        ("", True),
        (".tables", True),
        ("/* ;", False),
    ],
)
def test_enter_ends_what_is_complete_and_nothing_else(text: str, complete: bool) -> None:
    assert is_complete(text) is complete


def test_words_are_suggested_where_they_belong(steady: Shell) -> None:
    steady.refresh()
    words = Words(lambda: steady.tables, steady.columns)
    assert words.suggest("select * from ev", "ev")[0] == TABLE
    assert "user_id" in words.suggest(f"select us from {TABLE}", "us")
    assert "p._offset" in words.suggest(f"select p._o from {TABLE} p", "p._o")
    assert "select" in words.suggest("SEL", "SEL")
    assert words.suggest(".sch", ".sch") == (".schema",)
    assert words.suggest(".schema eve", "eve") == (TABLE,)


def test_a_statement_of_several_lines_and_the_history(shell: Shell, tmp_path: Path) -> None:
    out = shell._console.file = io.StringIO()
    history = tmp_path / "history"
    with create_pipe_input() as keys, create_app_session(input=keys, output=DummyOutput()):
        keys.send_text(f"select count(*) as n\nfrom {TABLE}\n;\n")
        keys.send_text("create secret s (type s3, secret 'canary');\n")
        keys.send_text("select 'dropped\x03select 5 as five;\n\x04")
        converse(shell, prompt_session(shell, history))
    assert '{"n": 10}' in out.getvalue()
    assert '{"five": 5}' in out.getvalue()
    assert "canary" not in history.read_text()
    assert f"+from {TABLE}" in history.read_text()


def test_the_history_is_the_users_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    for home in (tmp_path, tmp_path / "nowhere"):
        file = history_file({HOME_VARIABLE: str(home)})
        assert file.parent == tmp_path
        assert file.stat().st_mode & 0o077 == 0


def test_a_real_terminal(lake: IcebergLake, tmp_path: Path) -> None:
    (tmp_path / "settings.json").write_text(local_settings(tmp_path).model_dump_json())
    mine, theirs = pty.openpty()
    named = {SETTINGS_VARIABLE: str(tmp_path / "settings.json"), HOME_VARIABLE: str(tmp_path), "TERM": "dumb"}
    process = subprocess.Popen(
        [sys.executable, "-c", "from keystone_platform.cli import main; main()", "sql", "--csv"],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env={**os.environ, **named},
        start_new_session=True,
    )
    os.close(theirs)
    seen = ""

    def look() -> None:
        """Take what the shell shows, for half a second at most; nothing once it has left its end of the terminal."""
        nonlocal seen
        if select.select([mine], [], [], 0.5)[0]:
            with contextlib.suppress(OSError):
                seen += os.read(mine, 10_000).decode(errors="replace")

    def until(text: str) -> None:
        nonlocal seen
        deadline = time.monotonic() + 60
        while text not in seen:
            assert time.monotonic() < deadline, seen
            look()
        seen = seen.split(text, 1)[1]

    try:
        until("keystone>")
        os.write(mine, f"select 'n=' || count(*) from {TABLE};\r".encode())
        until("n=10")
        os.write(mine, f"{ENDLESS}\r".encode())
        until("7")  # as typed: before that a Ctrl-C would drop the line
        until(";")
        while "interrupted" not in seen:
            time.sleep(1)
            process.send_signal(signal.SIGINT)  # what the terminal of a login makes of Ctrl-C
            look()
        os.write(mine, b"select 'still ' || 'here';\r")
        until("still here")
        until("keystone>")
        deadline = time.monotonic() + 60
        while process.poll() is None:  # a simple terminal shows the prompt before it listens
            assert time.monotonic() < deadline, seen
            os.write(mine, b"\x04")
            look()
        assert process.returncode == 0
    finally:
        process.kill()
        os.close(mine)
