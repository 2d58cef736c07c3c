"""KeystoneProducer without a broker: the caller never waits, and nothing vanishes uncounted."""

from __future__ import annotations

import subprocess
import sys
import uuid
from datetime import UTC, datetime

import pytest

from keystone_platform.producer import DropReason, KeystoneProducer
from keystone_platform.producer.guid import GuidSource

NOWHERE = {"bootstrap.servers": "127.0.0.1:1"}


def test_guids_are_valid_uuid7_of_their_time() -> None:
    guid = uuid.UUID(GuidSource().next(now_ms=1_700_000_000_123))
    assert guid.version == 7
    assert guid.variant == uuid.RFC_4122
    assert guid.int >> 80 == 1_700_000_000_123


def test_guids_ascend_when_the_clock_stands_still_or_jumps_back() -> None:
    source = GuidSource()
    stuck = [source.next(now_ms=5_000) for _ in range(5_000)]  # more than one millisecond's counter holds
    back = [source.next(now_ms=1_000) for _ in range(10)]
    guids = stuck + back
    assert guids == sorted(guids)
    assert len(set(guids)) == len(guids)


def test_events_beyond_the_buffer_are_counted_and_the_rest_on_close() -> None:
    producer = KeystoneProducer({**NOWHERE, "queue.buffering.max.messages": "100"}, app="test")
    for _ in range(150):
        producer.send("playback", b"{}")
    assert producer.counts().dropped == {DropReason.QUEUE_FULL: 50}
    assert producer.flush(deadline_s=0) == 100
    closed = producer.close(deadline_s=0)
    assert closed.dropped == {DropReason.QUEUE_FULL: 50, DropReason.CLOSED: 100}
    assert closed.pending == 0


def test_an_event_after_close_is_counted_not_lost_silently() -> None:
    producer = KeystoneProducer(NOWHERE, app="test")
    producer.close(deadline_s=0)
    producer.send("playback", b"{}")
    assert producer.counts().dropped == {DropReason.CLOSED: 1}


def test_an_oversized_event_is_dropped_as_too_large() -> None:
    with KeystoneProducer(NOWHERE, app="test") as producer:
        producer.send("playback", b"x" * 11_000_000)
        assert producer.counts().dropped == {DropReason.TOO_LARGE: 1}


def test_a_time_without_zone_is_refused_before_it_is_counted() -> None:
    with KeystoneProducer(NOWHERE, app="test") as producer:
        with pytest.raises(ValueError, match="zone"):
            producer.send("playback", b"{}", time=datetime(2026, 1, 1))
        with pytest.raises(ValueError, match="extension"):
            producer.send("playback", b"{}", time=datetime.now(UTC), Bad_Name="x")
        assert producer.counts().attempted == 0


def test_a_wrong_property_is_told_at_once() -> None:
    with pytest.raises(ValueError, match=r"compresion\.type"):
        KeystoneProducer({**NOWHERE, "compresion.type": "lz4"}, app="test")


def test_a_service_needs_no_other_package_of_the_platform() -> None:
    """Importing the producer pulls in confluent-kafka and the standard library only."""
    code = (
        "import sys; import keystone_platform.producer; "
        "print([m for m in ('pydantic', 'duckdb', 'dagster', 'pyarrow', 'httpx', 'yaml') if m in sys.modules])"
    )
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert loaded.stdout.strip() == "[]"


def test_a_payload_that_is_no_bytes_is_told_and_accounted_for() -> None:
    producer = KeystoneProducer(NOWHERE, app="test")
    with pytest.raises(TypeError):
        producer.send("playback", 5)  # type: ignore[arg-type]
    assert producer.close(deadline_s=0).dropped == {DropReason.REFUSED: 1}


@pytest.mark.parametrize(("host", "app"), [("h", "a/b"), ("h/i", "a")])
def test_a_slash_that_would_cut_host_or_app_in_the_table_is_refused(host: str, app: str) -> None:
    with pytest.raises(ValueError, match="slash"):
        KeystoneProducer(NOWHERE, app=app, host=host)
