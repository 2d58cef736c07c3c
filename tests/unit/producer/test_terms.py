"""The document of the declared streams, as a producer reads it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from keystone_platform.errors import InvalidSpec
from keystone_platform.producer import StreamTerms, Terms
from keystone_platform.producer.settings import Streams

DOCUMENT = {
    "version": 1,
    "audit_topic": "audits",
    "streams": {"a": {"topic": "t.a"}, "b": {"topic": "b", "acks": "1", "max_block_s": 0.5, "later": True}},
    "later": {},
}


def test_a_document_is_read_and_what_a_later_platform_adds_is_left_aside(tmp_path: Path) -> None:
    file = tmp_path / "producers.json"
    file.write_text(json.dumps(DOCUMENT))
    expected = Terms({"a": StreamTerms("t.a", "all", 0.0), "b": StreamTerms("b", "1", 0.5)}, "audits")
    assert Terms.load(file) == expected


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("{", "no JSON"),
        ("[]", "no document of version 1"),
        ('{"version": 2, "streams": {}}', "no document of version 1"),
        ('{"version": 1}', "`streams` is no mapping"),
        ('{"version": 1, "streams": {"a": {}}}', "'a' has no topic"),
        ('{"version": 1, "streams": {"a": {"topic": "a", "acks": 2}}}', "neither 'all' nor '1'"),
        ('{"version": 1, "streams": {"a": {"topic": "a", "max_block_s": -1}}}', "no number of seconds"),
        ('{"version": 1, "streams": {"a": {"topic": "a", "clusters": {}}}}', "its clusters are no list"),
        ('{"version": 1, "streams": {"a": {"topic": "a", "clusters": ["b"]}}}', "no name or no topic"),
        ('{"version": 1, "streams": {"a": {"topic": "a", "clusters": [{"cluster": "b"}]}}}', "no name or no topic"),
    ],
)
def test_another_form_is_refused_with_the_file_and_the_mend(text: str, what: str, tmp_path: Path) -> None:
    file = tmp_path / "producers.json"
    file.write_text(text)
    with pytest.raises(InvalidSpec, match=what) as raised:
        Terms.load(file)
    assert raised.value.file == str(file)
    assert "keystone producers" in raised.value.mend


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidSpec, match="can't be read"):
        Terms.load(tmp_path / "none.json")


def test_without_terms_a_stream_goes_to_the_topic_of_its_name_if_it_is_one() -> None:
    streams = Streams(None, {"s": "t"})
    assert streams.of("s", None) == StreamTerms("t")
    assert streams.of("other", 0.5) == StreamTerms("other", "all", 0.5)
    assert streams.of("no topic", None) is None


def test_a_topic_that_the_caller_names_makes_a_stream_known() -> None:
    streams = Streams(Terms({"s": StreamTerms("s", "1", 2.0)}), {"s": "t", "mine": "m"})
    assert streams.of("s", None) == StreamTerms("t", "1", 2.0)
    assert streams.of("s", 1.0) == StreamTerms("t", "1", 1.0)
    assert streams.of("mine", None) == StreamTerms("m")
    assert streams.of("nobody", None) is None
