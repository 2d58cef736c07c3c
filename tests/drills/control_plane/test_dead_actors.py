"""Who deploys a router is killed at the worst moment: what is begun is finished or begun anew, and one job runs."""

from __future__ import annotations

import signal
import time
from contextlib import suppress

import psutil
import pytest

from keystone_platform.plan.deployment import Outcome
from keystone_platform.stack.processes import marked_processes
from tests.drills.control_plane.steered import WAREHOUSE, Applying, Steered, steered_yaml
from tests.drills.test_faults import back, kill
from tests.e2e.platform import wait_for

SUBMITS = {"flink_jobs.router", "org.apache.flink.client.python.PythonGatewayServer"}

pytestmark = [pytest.mark.drill, pytest.mark.timeout(1200)]


def test_dagsters_daemon_killed_between_intent_and_act(steered: Steered) -> None:
    before = steered.latest(WAREHOUSE)
    with steered.drill("Dagster's daemon killed between intent and act"):
        steered.platform.gateways.flink.cancel(before.job_id, 60)
        intent = steered.intent_after(before)
        killed, began = kill(steered.stack, "dagster-daemon"), time.monotonic()
        after = steered.runs_after(before)
        print(f"runs {time.monotonic() - began:.0f} s after the kill: the run outlives the daemon")
        back(steered.stack, "dagster-daemon", killed)
    assert after.epoch == intent.epoch == before.epoch + 1


def test_all_of_dagster_killed_between_intent_and_act(steered: Steered) -> None:
    """With the run goes its submitting process: nobody is left who knows what became of the intent."""
    before = steered.latest(WAREHOUSE)
    with steered.drill("Dagster killed whole, the run that submits included, between intent and act"):
        steered.platform.gateways.flink.cancel(before.job_id, 60)
        intent = steered.intent_after(before)
        killed, began = kill_dagster(steered), time.monotonic()
        assert steered.jobs(WAREHOUSE) == [], "nothing was submitted"
        after = steered.runs_after(intent)
        print(f"{killed} processes killed; runs {time.monotonic() - began:.0f} s after the kill")
    assert after.epoch == intent.epoch + 1
    stuck = [run for run in steered.dagster.runs(before.intended_at.timestamp()) if run.ended is None]
    print(f"runs without an end: {[(run.job, run.status) for run in stuck]}")


def kill_dagster(steered: Steered) -> int:
    """Kill every process of Dagster, and what submits also where it is born in the same moment."""
    count = 0
    for look in range(20):
        for each in marked_processes(steered.stack.home.mark):
            with suppress(psutil.Error):
                submits = SUBMITS & set(each.process.cmdline())
                if each.server.startswith("dagster") and (look == 0 or submits):
                    each.process.kill()
                    count += 1
        time.sleep(0.1)
    return count


def test_submitting_process_killed_after_the_submit(steered: Steered) -> None:
    before = steered.latest(WAREHOUSE)
    with steered.drill("`keystone apply` killed when Flink had taken the job and the ledger was not told"):
        steered.declare(steered_yaml(interval_s=4))
        applying = Applying([WAREHOUSE])
        intent = steered.intent_after(before)
        applying.process.send_signal(signal.SIGSTOP)  # what it started goes on and submits
        wait_for("Flink has the job", lambda: steered.platform.gateways.flink.job(intent.job_id), 120)
        process = psutil.Process(applying.process.pid)
        for each in (*process.children(recursive=True), process):
            each.kill()
        applying.ended()
        assert steered.latest(WAREHOUSE).outcome is None
        again = Applying([WAREHOUSE])
        assert "it runs as planned" in again.ended()
        assert again.process.returncode == 0
    after = steered.latest(WAREHOUSE)
    assert (after.epoch, after.outcome, after.note) == (intent.epoch, Outcome.SUBMITTED, "adopted")
