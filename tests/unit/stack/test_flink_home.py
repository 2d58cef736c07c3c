from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from keystone_platform.errors import Terminal
from keystone_platform.gateways.flink_home import assemble_flink_home


def _jars(folder: Path, *names: str) -> Path:
    for name in ("checkpoint-fs/s3.jar", *(f"flink/{jar}" for jar in names)):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return folder


def test_the_class_path_has_wheel_python_and_our_jars_and_the_filesystem_is_a_plugin(tmp_path: Path) -> None:
    environment = assemble_flink_home(tmp_path / "home", _jars(tmp_path / "jars", "connector.jar"), {})
    lib = {path.name for path in Path(environment["FLINK_LIB_DIR"]).iterdir()}
    assert "connector.jar" in lib
    assert any(name.startswith("flink-dist") for name in lib)
    assert any(name.startswith("flink-python") for name in lib)
    assert "s3.jar" not in lib
    assert (Path(environment["FLINK_PLUGINS_DIR"]) / "s3" / "s3.jar").exists()


def test_a_jar_that_was_replaced_does_not_stay_on_the_class_path(tmp_path: Path) -> None:
    jars = _jars(tmp_path / "jars", "connector-1.jar")
    assemble_flink_home(tmp_path / "home", jars, {})
    (jars / "flink" / "connector-1.jar").unlink()
    _jars(jars, "connector-2.jar")
    assemble_flink_home(tmp_path / "home", jars, {})
    ours = sorted(path.name for path in (tmp_path / "home" / "lib").glob("connector*"))
    assert ours == ["connector-2.jar"]


def test_the_configuration_is_private_and_read_back_as_flat_keys(tmp_path: Path) -> None:
    configuration = {"s3.secret-key": "k: %#", "heartbeat.interval": 2000, "s3.path.style.access": True}
    assemble_flink_home(tmp_path / "home", _jars(tmp_path / "jars", "connector.jar"), configuration)
    path = tmp_path / "home" / "conf" / "config.yaml"
    assert path.stat().st_mode & 0o077 == 0
    assert yaml.safe_load(path.read_text()) == configuration


def test_missing_jars_are_told_with_the_mend(tmp_path: Path) -> None:
    with pytest.raises(Terminal, match="no jars in") as refused:
        assemble_flink_home(tmp_path / "home", tmp_path / "jars", {})
    assert "make setup" in refused.value.mend
