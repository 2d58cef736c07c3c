"""Guids ascend, are valid, and are never handed out twice."""

from __future__ import annotations

import sys
import threading
import uuid
from datetime import UTC, datetime

from keystone_platform.producer.stamps import StampSource, time_text


def test_guids_are_valid_uuid7_of_their_time() -> None:
    guid = uuid.UUID(StampSource().guid(1_700_000_000_123))
    assert guid.version == 7
    assert guid.variant == uuid.RFC_4122
    assert guid.int >> 80 == 1_700_000_000_123


def test_guids_ascend_when_the_clock_stands_still_or_jumps_back() -> None:
    source = StampSource()
    stuck = [source.guid(5_000) for _ in range(10_000)]  # more than one millisecond's counter holds
    back = [source.guid(1_000) for _ in range(10)]
    later = [source.guid(6_000)]
    guids = stuck + back + later
    assert guids == sorted(guids)
    assert len(set(guids)) == len(guids)
    assert all(uuid.UUID(guid).version == 7 and uuid.UUID(guid).variant == uuid.RFC_4122 for guid in guids)


def test_threads_that_share_a_source_never_get_one_guid_twice() -> None:
    source = StampSource()
    found: list[list[str]] = [[] for _ in range(4)]

    def take(into: list[str]) -> None:
        into.extend(source.guid(number // 100) for number in range(20_000))

    usual = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        threads = [threading.Thread(target=take, args=(each,)) for each in found]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(usual)
    assert len({guid for each in found for guid in each}) == 80_000
    assert all(each == sorted(each) for each in found)


def test_a_time_is_written_to_the_millisecond() -> None:
    assert time_text(1_700_000_000_007) == "2023-11-14T22:13:20.007Z"
    assert datetime.fromisoformat(time_text(0)) == datetime(1970, 1, 1, tzinfo=UTC)
