"""What a route asks of S3, counted: each request costs, and too many of them throttle everybody's."""

from __future__ import annotations

import re
import time
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime

import pytest

from keystone_platform.stack.s3_requests import (
    LOG_NAME,
    Kind,
    Operation,
    S3Request,
    S3RequestLog,
    checkpoints_written,
    commits_written,
)
from tests.e2e.platform import Platform, stream_yaml, wait_for

pytestmark = pytest.mark.stack

STREAM = "counted"
EMPTY_COMMIT = 10
"""Checkpoints after which Iceberg's sink commits without files by default."""

ENTROPY = re.compile(r"/data/[01]{4}/[01]{4}/[01]{4}/[01]{8}/")


def since(platform: Platform, begin: datetime, keys: str) -> tuple[S3Request, ...]:
    """Return the requests since then whose key has that text in it."""
    log = S3RequestLog(platform.stack.home.log(LOG_NAME), platform.settings)
    return tuple(each for each in log.between(begin, datetime.now(UTC)) if keys in each.key)


def operations(requests: Sequence[S3Request], *kinds: Kind) -> Counter[Operation]:
    return Counter(each.operation for each in requests if each.kind in kinds)


@pytest.fixture(scope="module")
def job_id(platform: Platform) -> str:
    platform.declare(STREAM, stream_yaml(STREAM, interval_s=1))
    verdict = platform.apply(f"{STREAM}.warehouse")
    assert verdict.deployment is not None, verdict.message
    return verdict.deployment.job_id


def test_a_quiet_route_costs_one_put_a_checkpoint_and_commits_nothing(platform: Platform, job_id: str) -> None:
    begin = datetime.now(UTC)
    written = wait_for(
        "checkpoints, more than after which an empty commit would come",
        lambda: found if checkpoints_written(found := since(platform, begin, job_id)) > EMPTY_COMMIT else None,
        90,
    )
    state = operations(written, Kind.CHECKPOINT)
    checkpoints = checkpoints_written(written)
    assert state[Operation.PUT] == checkpoints
    # deleting is free, and each checkpoint that is written lets one go
    assert state[Operation.DELETE] <= checkpoints + 1
    assert set(state) <= {Operation.PUT, Operation.DELETE}
    assert commits_written(since(platform, begin, f"tests/{STREAM}/")) == 0


def test_a_commit_costs_five_puts_and_no_list_and_its_data_has_an_entropy_prefix(
    platform: Platform, job_id: str
) -> None:
    begin = datetime.now(UTC)
    for second in range(4):
        platform.produce(STREAM, range(second * 100, second * 100 + 100))
        time.sleep(1)
    platform.wait_for_rows(STREAM, 400)
    found = since(platform, begin, f"tests/{STREAM}/")
    commits = commits_written(found)
    assert commits >= 2
    data, metadata = operations(found, Kind.TABLE_DATA), operations(found, Kind.TABLE_METADATA)
    assert commits <= data[Operation.PUT] <= commits + 1  # parallelism 1: one file, and one more where an hour begins
    # the writers' list of files, the manifest, the list of manifests, the table's metadata
    assert metadata[Operation.PUT] == 4 * commits
    assert not {Operation.LIST, Operation.MULTIPART} & (set(data) | set(metadata))
    assert all(ENTROPY.search(each.key) for each in found if each.kind is Kind.TABLE_DATA), found
    state = operations(since(platform, begin, job_id), Kind.CHECKPOINT)
    assert set(state) <= {Operation.PUT, Operation.DELETE}
