"""The choice of a checkpoint among listed keys: a wrong one loses or repeats events."""

from __future__ import annotations

import pytest

from keystone_platform.errors import InvalidSpec
from keystone_platform.gateways.objects import bucket_and_key, newest_checkpoint

DIRECTORY = "s3://keystone/flink/playback.warehouse"
JOB = "a" * 32


def keys(*names: str, job: str = JOB) -> list[str]:
    return [f"{DIRECTORY}/{job}/{name}" for name in names]


def test_the_highest_number_wins_not_the_last_in_the_alphabet() -> None:
    listed = keys("chk-9/_metadata", "chk-10/_metadata", "chk-100/_metadata", "chk-99/_metadata")
    assert newest_checkpoint(listed, DIRECTORY, JOB) == f"{DIRECTORY}/{JOB}/chk-100"


def test_a_checkpoint_that_was_cut_off_is_not_taken() -> None:
    listed = keys(
        "chk-3/_metadata", "chk-4/1f2e3d", "chk-5/_metadata.tmp", "chk-6/_metadata/x", "shared/1", "taskowned/2"
    )
    assert newest_checkpoint(listed, DIRECTORY, JOB) == f"{DIRECTORY}/{JOB}/chk-3"


def test_another_jobs_checkpoints_are_not_taken() -> None:
    listed = [*keys("chk-7/_metadata", job="b" * 32), *keys("chk-8/_metadata", job=JOB + "0")]
    assert newest_checkpoint(listed, DIRECTORY, JOB) is None


def test_a_trailing_slash_of_the_directory_makes_no_difference() -> None:
    assert newest_checkpoint(keys("chk-1/_metadata"), DIRECTORY + "/", JOB) == f"{DIRECTORY}/{JOB}/chk-1"


def test_uris_are_split_and_what_is_no_s3_uri_is_refused() -> None:
    assert bucket_and_key("s3://keystone/a/keystone/c") == ("keystone", "a/keystone/c")
    assert bucket_and_key("s3a://keystone") == ("keystone", "")
    for wrong in ("file:///tmp/x", "keystone/x", "s3:///x"):
        with pytest.raises(InvalidSpec):
            bucket_and_key(wrong)
