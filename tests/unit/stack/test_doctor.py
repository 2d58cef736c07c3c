from __future__ import annotations

import socket
from pathlib import Path

from keystone_platform.stack.doctor import KEY_JARS, Finding, examine


def _findings(home: Path, jars: Path, **env: str) -> dict[str, Finding]:
    return {finding.check: finding for finding in examine(home, jars, {"PATH": "/nowhere", **env}, is_up=False)}


def _all_jars(folder: Path) -> Path:
    for name, beginnings in KEY_JARS.items():
        (folder / name).mkdir(parents=True)
        for beginning in beginnings:
            (folder / name / f"{beginning}1.jar").touch()
    return folder


def test_every_failure_says_how_to_mend_it(tmp_path: Path) -> None:
    failures = [finding for finding in _findings(tmp_path, tmp_path / "jars").values() if finding.failed]
    assert {"java", "maven", "jars flink", "jars checkpoint-fs", "jars kafka-broker", "jars s3proxy"} <= {
        finding.check for finding in failures
    }
    assert all(finding.mend for finding in failures)


def test_one_missing_jar_is_named(tmp_path: Path) -> None:
    jars = _all_jars(tmp_path / "jars")
    (jars / "flink" / "zstd-jni-1.jar").unlink()
    findings = _findings(tmp_path, jars)
    assert findings["jars flink"].failed
    assert "zstd-jni-*.jar" in findings["jars flink"].found
    assert not findings["jars s3proxy"].failed


def test_maven_is_only_missed_while_jars_are(tmp_path: Path) -> None:
    finding = _findings(tmp_path, _all_jars(tmp_path / "jars"))["maven"]
    assert not finding.failed
    assert finding.mend


def test_a_taken_port_fails_only_when_it_was_asked_for(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        finding = _findings(tmp_path, tmp_path, KEYSTONE_KAFKA_PORT=str(port))["port kafka"]
    assert finding.failed
    assert str(port) in finding.found


def test_a_home_that_does_not_exist_yet_is_examined_where_it_will_be(tmp_path: Path) -> None:
    assert str(tmp_path) in _findings(tmp_path / "a" / "b", tmp_path)["disk"].found
