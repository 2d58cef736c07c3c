"""A home that is not the stack's own: nothing of anybody else's is overwritten or removed."""

from __future__ import annotations

from pathlib import Path

import pytest

from keystone_platform.errors import Terminal
from keystone_platform.settings import home_folder, streams_folder
from keystone_platform.stack.embedded import EmbeddedStack


def stack(folder: Path) -> EmbeddedStack:
    return EmbeddedStack(folder, streams=folder / "streams", env={})


def test_a_purge_where_no_stack_was_removes_nothing(tmp_path: Path) -> None:
    for name in ("logs", "kafka", "s3", "mine"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "file").write_text("precious")
    assert stack(tmp_path).down(purge=True) == 0
    assert {path.parent.name for path in tmp_path.glob("*/file")} == {"logs", "kafka", "s3", "mine"}


def test_up_does_not_move_into_somebody_elses_files(tmp_path: Path) -> None:
    (tmp_path / "settings.json").write_text("{}")  # of remote servers, written by hand
    with pytest.raises(Terminal, match=r"settings\.json, which no stack made"):
        stack(tmp_path).up()
    assert (tmp_path / "settings.json").read_text() == "{}"


@pytest.mark.parametrize("name", ["with blank", "per%cent", "ümlaut", "co:lon", "quo'te"])
def test_a_path_that_start_scripts_break_on_is_refused_with_the_character(tmp_path: Path, name: str) -> None:
    with pytest.raises(Terminal, match="start scripts cannot take"):
        stack(tmp_path / name).up()
    assert not (tmp_path / name).exists()


def test_a_home_that_is_a_file_is_refused_and_down_is_harmless(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("mine")
    with pytest.raises(Terminal, match="cannot be made"):
        stack(file).up()
    assert stack(file).down(purge=True) == 0
    assert file.read_text() == "mine"


def test_an_empty_variable_means_the_default(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert home_folder({"KEYSTONE_HOME": ""}) == tmp_path / ".keystone"
    assert streams_folder({"KEYSTONE_STREAMS": ""}) == tmp_path / "streams"
