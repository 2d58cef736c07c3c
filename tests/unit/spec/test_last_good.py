"""A broken file does not take its stream out of sight."""

from __future__ import annotations

from pathlib import Path

import pytest

from keystone_platform.spec.last_good import load_or_remember
from tests.e2e.platform import stream_yaml


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "streams"
    folder.mkdir()
    for name in ("one", "two"):
        (folder / f"{name}.yaml").write_text(stream_yaml(name))
    return folder


def names(folder: Path) -> list[str]:
    return [stream.spec.stream for stream in load_or_remember(folder, folder.parent / "memory").streams]


def test_a_broken_file_is_there_as_it_was_and_its_error_is_told(folder: Path) -> None:
    assert names(folder) == ["one", "two"]
    (folder / "one.yaml").write_text(stream_yaml("one", where="contry = 'US'"))
    fleet = load_or_remember(folder, folder.parent / "memory")
    assert [stream.spec.stream for stream in fleet.streams] == ["one", "two"]
    assert fleet.streams[0].spec.routes[0].filter is None
    assert fleet.streams[0].file == folder / "one.yaml"
    assert fleet.routes[0].file == folder / "one.yaml"
    assert len(fleet.errors) == 1


def test_a_mended_file_counts_again(folder: Path) -> None:
    names(folder)
    (folder / "one.yaml").write_text("stream: [")
    names(folder)
    (folder / "one.yaml").write_text(stream_yaml("one", where="n > 1"))
    assert load_or_remember(folder, folder.parent / "memory").streams[0].spec.routes[0].filter == "n > 1"


def test_a_removed_file_is_forgotten(folder: Path) -> None:
    names(folder)
    (folder / "one.yaml").unlink()
    assert names(folder) == ["two"]
    (folder / "one.yaml").write_text("stream: [")
    assert names(folder) == ["two"]


def test_a_broken_file_that_was_never_valid_is_only_an_error(folder: Path) -> None:
    (folder / "three.yaml").write_text("stream: [")
    assert names(folder) == ["one", "two"]


def test_what_is_remembered_never_contradicts_what_is_valid_now(folder: Path) -> None:
    names(folder)
    (folder / "one.yaml").write_text("stream: [")
    (folder / "new.yaml").write_text(stream_yaml("one"))
    fleet = load_or_remember(folder, folder.parent / "memory")
    assert [stream.file.name for stream in fleet.streams] == ["new.yaml", "two.yaml"]


def test_two_files_that_contradict_each_other_leave_the_one_that_was_valid_before(folder: Path) -> None:
    names(folder)
    (folder / "three.yaml").write_text(stream_yaml("three").replace("tests.three", "tests.one"))
    fleet = load_or_remember(folder, folder.parent / "memory")
    assert [stream.spec.stream for stream in fleet.streams] == ["one", "two"]
    assert {Path(error.file).name for error in fleet.errors} == {"one.yaml", "three.yaml"}


def test_a_folder_that_cannot_be_written_remembers_nothing_and_loads(folder: Path) -> None:
    (folder.parent / "memory").write_text("a file is in the way")
    assert names(folder) == ["one", "two"]
