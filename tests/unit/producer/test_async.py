"""The producer in an asyncio loop: outcomes are awaited, the loop never stands still, no thread an event."""

from __future__ import annotations

import asyncio
import threading
import time

from keystone_platform.producer import Counts, Delivery, DropReason, ProducerSettings, StreamTerms, Terms
from tests.unit.producer.clients import nowhere, stand_in


def test_many_events_are_awaited_at_once_without_a_thread_for_each() -> None:
    async def main() -> tuple[list[Delivery], int]:
        async with stand_in() as producer:
            tasks = [asyncio.create_task(producer.asend("s", b"%d" % number)) for number in range(2_000)]
            await asyncio.sleep(0)
            threads = threading.active_count()
            found = await asyncio.gather(*tasks)
            assert await producer.aflush(10) == 0
            assert producer.counts() == Counts(2_000, 2_000)
            return found, threads

    before = threading.active_count()
    found, threads = asyncio.run(main())
    assert all(each.acknowledged for each in found)
    assert len({each.guid for each in found}) == 2_000
    assert threads - before <= 2


def test_a_dropped_event_is_an_outcome_and_no_exception() -> None:
    async def main() -> Delivery:
        producer = nowhere()
        found = await producer.asend("s", 5)  # type: ignore[arg-type]
        await asyncio.to_thread(producer.close, 0)
        return found

    assert asyncio.run(main()).dropped is DropReason.NOT_BYTES


def test_waiting_for_room_leaves_the_loop_free() -> None:
    async def main() -> tuple[DropReason | None, int]:
        producer = nowhere(
            settings=ProducerSettings(max_buffer_bytes=2_000), terms=Terms({"s": StreamTerms("s", "all", 0.3)})
        )
        producer.send("s", b"x" * 1_000)
        ticks = 0

        async def tick() -> None:
            nonlocal ticks
            while True:
                await asyncio.sleep(0.01)
                ticks += 1

        ticking = asyncio.create_task(tick())
        began = time.monotonic()
        delivery = await producer.asend("s", b"x" * 1_000)
        assert time.monotonic() - began >= 0.3
        ticking.cancel()
        await asyncio.to_thread(producer.close, 0)
        return delivery.dropped, ticks

    dropped, ticks = asyncio.run(main())
    assert dropped is DropReason.QUEUE_FULL
    assert ticks > 10


def test_a_loop_that_ended_before_its_outcomes_came_harms_nobody() -> None:
    producer = nowhere()

    async def main() -> None:
        task = asyncio.create_task(producer.asend("s", b"{}"))
        await asyncio.sleep(0)
        task.cancel()

    asyncio.run(main())
    assert producer.close(0) == Counts(1, 0, {DropReason.CLOSED: 1})
