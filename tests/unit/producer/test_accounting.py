"""Counts add up: under threads, over hours, and whatever is wrong with an event."""

from __future__ import annotations

import sys
import threading

import pytest

from keystone_platform.producer import Counts, DropReason, Place
from keystone_platform.producer.accounting import Account, Tally
from keystone_platform.producer.clients import _transmitted
from tests.unit.producer.clients import stand_in


def test_a_tally_that_threads_share_without_a_lock_counts_each_event() -> None:
    """The interpreter may not hand on within an augmented assignment; this fails on one that does."""
    tally = Tally("s", "c", 0)

    def count() -> None:
        for _ in range(100_000):
            tally.attempted += 1
            tally.drop(DropReason.QUEUE_FULL)

    usual = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        threads = [threading.Thread(target=count) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(usual)
    assert tally.counts() == Counts(400_000, 0, {DropReason.QUEUE_FULL: 400_000})


def test_threads_that_send_at_once_lose_no_count_and_no_byte_of_the_buffer() -> None:
    with stand_in() as producer:
        threads = [
            threading.Thread(
                target=lambda: [producer.send(f"s{n % 3}", b"x" * n, b"k" * (n % 3)) for n in range(5_000)]
            )
            for _ in range(4)
        ]
        usual = sys.getswitchinterval()
        sys.setswitchinterval(1e-6)
        try:
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            assert producer.flush(20) == 0
        finally:
            sys.setswitchinterval(usual)
        assert producer.counts() == Counts(20_000, 20_000)
        assert producer.buffer_bytes == 0
        assert set(producer.counts_by_place()) == {Place(f"s{number}", "primary") for number in range(3)}


def test_hours_that_are_settled_stay_in_the_sum() -> None:
    account = Account()
    for hour in range(3):
        tally = account.tally("s", "c", hour)
        tally.attempted = tally.acknowledged = 10
    account.settle(account.tally("s", "c", 0))
    assert [tally.hour for tally in account.tallies()] == [1, 2]
    assert account.by_place() == {Place("s", "c"): Counts(30, 30)}


def test_an_outcome_is_never_counted_without_its_attempt() -> None:
    with pytest.MonkeyPatch.context():
        tally = Tally("s", "c", 0)
        tally.attempted, tally.acknowledged = 3, 1
        tally.drop(DropReason.TIMED_OUT)
        assert tally.counts().pending == 1


def test_what_librdkafka_sent_more_than_once_is_told_per_topic() -> None:
    statistics = '{"topics": {"t": {"partitions": {"0": {"txmsgs": 7}, "1": {"txmsgs": 5}, "-1": {"txmsgs": 0}}}}}'
    assert _transmitted(statistics) == {"t": 12}
    assert _transmitted("") == {}
