from __future__ import annotations

from pathlib import Path

import pytest

from keystone_platform.errors import Terminal
from keystone_platform.stack.java import find_java


def _java(folder: Path, script: str) -> Path:
    program = folder / "bin" / "java"
    program.parent.mkdir(parents=True)
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    return program


def test_java_home_wins_over_the_path(tmp_path: Path) -> None:
    program = _java(tmp_path, """echo 'openjdk version "21.0.2" 2024-01-16' >&2""")
    assert find_java({"JAVA_HOME": str(tmp_path), "PATH": "/usr/bin:/bin"}).program == program


@pytest.mark.parametrize(("line", "version"), [('java version "1.8.0_402"', 1), ('openjdk version "11.0.22"', 11)])
def test_a_java_that_is_too_old_is_refused_with_its_version(tmp_path: Path, line: str, version: int) -> None:
    _java(tmp_path, f"echo '{line}' >&2")
    with pytest.raises(Terminal, match=f"is Java {version}, but 17") as refused:
        find_java({"JAVA_HOME": str(tmp_path), "PATH": "/usr/bin:/bin"})
    assert "JAVA_HOME" in refused.value.mend


def test_a_java_that_does_not_run_is_refused_with_what_it_said(tmp_path: Path) -> None:
    _java(tmp_path, "echo 'cannot allocate memory' >&2; exit 1")
    with pytest.raises(Terminal, match="cannot allocate memory"):
        find_java({"JAVA_HOME": str(tmp_path), "PATH": "/usr/bin:/bin"})


def test_no_java_at_all_names_the_package_to_install(tmp_path: Path) -> None:
    with pytest.raises(Terminal, match="no Java in PATH") as refused:
        find_java({"PATH": str(tmp_path)})
    assert "openjdk-17" in refused.value.mend
