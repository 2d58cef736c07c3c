"""A reference leads to the secret, and an error names the reference only."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from keystone_platform.errors import Terminal
from keystone_platform.secret import read_secret
from keystone_platform.settings import SearchSettings


def test_a_secret_is_read_from_where_its_reference_says(tmp_path: Path) -> None:
    (tmp_path / "password").write_text("s3cr3t \n")
    assert read_secret(f"file:{tmp_path}/password") == "s3cr3t "
    assert read_secret("env:PASSWORD", {"PASSWORD": "s3cr3t"}) == "s3cr3t"


def test_a_secret_that_is_not_there_is_named_by_its_reference(tmp_path: Path) -> None:
    for reference in (f"file:{tmp_path}/none", "env:NONE"):
        with pytest.raises(Terminal, match=reference):
            read_secret(reference, {})


@pytest.mark.parametrize(
    "given",
    [
        {"username": "keystone", "password": "s3cr3t"},
        {"username": "keystone"},
        {"password": "env:PASSWORD"},
        {"url": "https://keystone:s3cr3t@search"},
    ],
)
def test_a_password_in_the_settings_themselves_is_refused(given: dict[str, str]) -> None:
    with pytest.raises(ValidationError):
        SearchSettings.model_validate({"url": "http://search:9200", **given})
