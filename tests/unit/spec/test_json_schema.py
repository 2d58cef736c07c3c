from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from jsonschema import Draft202012Validator

from keystone_platform.spec.json_schema import schema_text, stream_schema
from tests.unit.spec.files import MINIMAL, errors_of, write

STREAMS = Path(__file__).parents[3] / "streams"
VALIDATOR = Draft202012Validator(stream_schema())

WRONG = [
    MINIMAL + "    filtr: x\n",
    MINIMAL.replace("bigint", "long"),
    MINIMAL.replace("os: string", "os: strin"),
    MINIMAL.replace("owner: team:player\n", ""),
    MINIMAL.replace("events.plays", "plays"),
    MINIMAL.replace("}}", "}, kafka: {topic: x}}"),
    MINIMAL + "    select: []\n",
    MINIMAL + "    select: [{a: user_id, b: country}]\n",
    MINIMAL + "    parallelism: 0\n",
]


def test_the_checked_in_schema_is_the_models_own() -> None:
    """Write it anew with `python -m keystone_platform.spec.json_schema > streams/stream.schema.json`."""
    assert (STREAMS / "stream.schema.json").read_text() == schema_text()


def test_the_schema_is_a_valid_one() -> None:
    Draft202012Validator.check_schema(stream_schema())


@pytest.mark.parametrize("file", sorted(STREAMS.glob("*.yaml")), ids=lambda file: file.name)
def test_an_editor_accepts_the_example_streams_and_knows_the_schema(file: Path) -> None:
    text = file.read_text()
    assert text.startswith("# yaml-language-server: $schema=stream.schema.json\n")
    assert [error.message for error in VALIDATOR.iter_errors(yaml.safe_load(text))] == []


@pytest.mark.parametrize(
    "select", ["[user_id]", "[{name: device.os}]", "[{name: os, path: device.os}, {path: user_id}]"]
)
def test_editor_and_loader_accept_every_form_of_select(tmp_path: Path, select: str) -> None:
    text = MINIMAL + f"    select: {select}\n"
    assert [error.message for error in VALIDATOR.iter_errors(yaml.safe_load(text))] == []
    assert errors_of(write(tmp_path, plays=text)) == ()


@pytest.mark.parametrize("text", WRONG)
def test_editor_and_loader_refuse_the_same_files(tmp_path: Path, text: str) -> None:
    assert list(VALIDATOR.iter_errors(yaml.safe_load(text)))
    assert errors_of(write(tmp_path, plays=text))
