"""Flink's REST or the ledger's database fail: nothing is redeployed for it, it is told, and it is over when it is."""

from __future__ import annotations

import random
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from keystone_platform.plan.recovery import positions_of
from keystone_platform.stack.ports import is_free
from tests.drills.control_plane.dagster_watch import Tick
from tests.drills.control_plane.steered import ONWARD, ROUTES, WAREHOUSE, Applying, Steered, at, steered_yaml
from tests.drills.control_plane.test_healing import ticked
from tests.drills.fault_proxy import Fault, FaultProxy
from tests.e2e.platform import wait_for

pytestmark = [pytest.mark.drill, pytest.mark.timeout(1200)]

SICK_S = 60


@contextmanager
def sick(steered: Steered, upgrades: int = 0) -> Iterator[None]:
    """While the block lasts no tick of the sensor fails and nobody redeploys; at its end all is told well."""
    before = {route: steered.latest(route) for route in ROUTES}
    since = time.time()
    yield
    over = time.time()
    for tick in steered.dagster.ticks(since):
        took = (tick.ended or over) - tick.began
        print(f"tick after {tick.began - since:3.0f} s, took {took:4.1f} s: {tick.status} {tick.skipped}")
    assert [tick.failed for tick in steered.dagster.ticks(since) if tick.failed] == []
    wait_for("the sensor looks again", lambda: any(_looked(tick) for tick in steered.dagster.ticks(over)), 120)
    ticked(steered, 2)
    assert steered.dagster.runs(since) == []
    told = [check for route in ROUTES for check in steered.dagster.checks(route, since)]
    assert [check.text for check in told if not check.passed] == []
    again = Applying()
    assert "it runs as planned" in again.ended()
    assert again.process.returncode == 0
    assert steered.latest(ONWARD) == before[ONWARD]
    assert steered.latest(WAREHOUSE).epoch == before[WAREHOUSE].epoch + upgrades


def _looked(tick: Tick) -> bool:
    return tick.ended is not None and not tick.failed and not _is_sick(tick)


def _is_sick(tick: Tick) -> bool:
    return "Flink" in tick.skipped or "ledger" in tick.skipped


def _free_port() -> int:
    return next(port for port in random.sample(range(20_000, 32_000), 100) if is_free(port))


@contextmanager
def reached_at(steered: Steered, flink_rest: str) -> Iterator[None]:
    """While the block lasts, Dagster and `keystone apply` look for Flink's REST elsewhere."""
    file = steered.stack.home.settings
    before = file.read_text()
    try:
        at(steered.platform.settings, file, flink_rest)
        yield
    finally:
        file.write_text(before)


@contextmanager
def failing(steered: Steered, fault: Fault) -> Iterator[None]:
    proxy = FaultProxy(_free_port(), int(steered.platform.settings.flink_rest.rpartition(":")[2]))
    try:
        with reached_at(steered, f"http://127.0.0.1:{proxy.port}"), proxy.failing(fault):
            yield
        assert proxy.met[fault] > 0
    finally:
        proxy.close()


def test_flinks_rest_slow_broken_and_unreachable(steered: Steered) -> None:
    with steered.drill(f"Flink's REST: 5 s late, then 500, then breaking connections, then none, {SICK_S} s each"):
        for fault in (Fault.LATE, Fault.BROKEN_500, Fault.RESETS, None):
            print(f"\nFlink's REST: {fault.name if fault else 'nobody listens'}")
            nowhere = f"http://127.0.0.1:{_free_port()}"
            with sick(steered), failing(steered, fault) if fault else reached_at(steered, nowhere):
                until = time.monotonic() + SICK_S
                applying = Applying()
                written = applying.ended()
                print(written)
                time.sleep(max(0.0, until - time.monotonic()))
            assert applying.process.returncode == (0 if fault is Fault.LATE else 1)
            assert fault is Fault.LATE or "Flink" in written


def test_ledger_locked_then_gone(steered: Steered) -> None:
    """Who may only read still sees what runs; nothing is begun that could not be written down."""
    with steered.drill(
        f"the ledger locked for {SICK_S} s, while a changed stream is applied; then away for {SICK_S} s"
    ):
        print("\nlocked")
        with sick(steered, upgrades=1):
            before = steered.latest(WAREHOUSE)
            steered.declare(steered_yaml(interval_s=7))
            with locked(steered.stack.home.ledger):
                refused = refused_apply(seconds=SICK_S)
                assert "ledger" in refused
                assert steered.latest(WAREHOUSE) == before
                assert [job.is_running for job in steered.jobs(WAREHOUSE)] == [True]
            applying = Applying()
            print(applying.ended())
            assert applying.process.returncode == 0
        print("\ngone")
        with sick(steered), moved_away(steered):
            assert "the ledger is gone" in refused_apply(seconds=SICK_S)


def refused_apply(seconds: float) -> str:
    """Return what a `keystone apply` says that fails, after so many seconds."""
    until = time.monotonic() + seconds
    refused = Applying()
    written = refused.ended()
    print(written)
    assert refused.process.returncode == 1
    time.sleep(max(0.0, until - time.monotonic()))
    return written


def test_ledger_gone_for_good(steered: Steered) -> None:
    """A new ledger knows no job: a person ends what runs, and the table's route goes on where its table ends."""
    stack, since = steered.stack, time.time()
    with steered.drill("the ledger gone for good: a new one, the old jobs cancelled by hand, then `keystone apply`"):
        with moved_away(steered, back=False):
            stack.up()
        assert "was the ledger replaced?" in refused_apply(seconds=0)
        wait_for(
            "the sensor says so", lambda: any("knows no such job" in text for text in told_bad(steered, since)), 60
        )
        for route in ROUTES:
            (job,) = steered.jobs(route)
            steered.platform.gateways.flink.cancel(job.job_id, 60)
        applying = Applying()
        print(applying.ended())
        assert applying.process.returncode == 0
        wait_for("the sensor says that all is well", lambda: told_well(steered, since), 60)
    assert positions_of(steered.latest(WAREHOUSE).restore_from)


def told_bad(steered: Steered, since: float) -> list[str]:
    return [check.text for check in steered.dagster.checks(WAREHOUSE, since) if not check.passed]


def told_well(steered: Steered, since: float) -> bool:
    told = steered.dagster.checks(WAREHOUSE, since)
    return bool(told) and told[-1].passed


@contextmanager
def locked(ledger: Path) -> Iterator[None]:
    """Hold the write lock, as a backup or a stuck writer does; readers go on (WAL)."""
    holder = sqlite3.connect(ledger, isolation_level=None)
    holder.execute("BEGIN EXCLUSIVE")
    try:
        yield
    finally:
        holder.execute("ROLLBACK")
        holder.close()


@contextmanager
def moved_away(steered: Steered, *, back: bool = True) -> Iterator[None]:
    """Move the ledger's files elsewhere, with what is not yet in the main one."""
    ledger = steered.stack.home.ledger
    files = [path for path in ledger.parent.iterdir() if path.name.startswith(ledger.name)]
    away = {path: path.with_name(f"away-{path.name}") for path in files}
    for path, elsewhere in away.items():
        path.rename(elsewhere)
    try:
        yield
    finally:
        for path, elsewhere in away.items() if back else ():
            elsewhere.replace(path)
