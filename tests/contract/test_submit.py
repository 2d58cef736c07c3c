"""The submitting process: what is told when it dies, and what the real planner makes of plans."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from keystone_platform.errors import Transient
from keystone_platform.gateways.submit import SubprocessSubmitter
from keystone_platform.plan.submission import NO_JVM
from keystone_platform.settings import S3Settings, Settings
from tests.unit.flink_jobs.plans import kafka, submission, warehouse, warehouse_raw

SETTINGS = Settings(
    kafka={"bootstrap.servers": "none:9092"},
    s3=S3Settings(endpoint="http://none:9000", access_key_id="id", secret_access_key="key"),
    catalog={"type": "sql", "uri": "sqlite:////none.db", "warehouse": "s3://none/warehouse"},
    flink_rest="http://none:8081",
    dagster_url="http://none:3000",
    ledger_url="sqlite:///none.db",
)

FIRST = submission(warehouse()).model_copy(update={"job_id": "a" * 32})
SECOND = submission(kafka()).model_copy(update={"job_id": "b" * 32})
TOLD = '{"job_id": "' + "a" * 32 + '", "status": "submitted"}\\n'


def submitter(
    folder: Path, script: str, *, start_timeout_s: float = 60, settings: Settings = SETTINGS
) -> SubprocessSubmitter:
    """A submitter whose process is that script."""
    for jar in ("flink/connector.jar", "checkpoint-fs/s3.jar"):
        (folder / jar).parent.mkdir(parents=True, exist_ok=True)
        (folder / jar).touch()
    return SubprocessSubmitter(
        settings,
        {"KEYSTONE_HOME": str(folder / "home"), "KEYSTONE_JARS": str(folder)},
        start_timeout_s=start_timeout_s,
        router_timeout_s=0,
        command=(sys.executable, "-c", script),
    )


def test_a_process_that_dies_between_two_routers_leaves_the_second_unknown(tmp_path: Path) -> None:
    script = f"import sys; sys.stdout.write('{TOLD}'); sys.stderr.write('out of memory'); sys.exit(137)"
    first, second = submitter(tmp_path, script).submit([FIRST, SECOND])
    assert (first.status, second.status) == ("submitted", "unknown")
    assert "137" in second.reason
    assert "out of memory" in second.reason


def test_a_line_that_was_cut_off_says_nothing(tmp_path: Path) -> None:
    script = f"import sys; sys.stdout.write('{TOLD[:-2]}')"
    assert [outcome.status for outcome in submitter(tmp_path, script).submit([FIRST])] == ["unknown"]


def test_a_process_that_hangs_is_ended_and_what_it_told_counts(tmp_path: Path) -> None:
    script = f"import sys, time; sys.stdout.write('{TOLD}'); sys.stdout.flush(); time.sleep(600)"
    outcomes = submitter(tmp_path, script, start_timeout_s=2).submit([FIRST, SECOND])
    assert [outcome.status for outcome in outcomes] == ["submitted", "unknown"]


def test_outcomes_come_in_the_order_of_the_submissions(tmp_path: Path) -> None:
    script = f"import sys; sys.stdout.write('{TOLD}')"
    assert [outcome.job_id for outcome in submitter(tmp_path, script).submit([SECOND, FIRST])] == ["b" * 32, "a" * 32]


def test_without_java_it_is_certain_that_nothing_was_submitted(tmp_path: Path) -> None:
    with pytest.raises(Transient, match="no JVM"):
        submitter(tmp_path, f"import sys; sys.exit({NO_JVM})").submit([FIRST])


def test_a_check_that_did_not_look_at_a_plan_is_no_verdict(tmp_path: Path) -> None:
    with pytest.raises(Transient, match="did not look at every plan"):
        submitter(tmp_path, "import sys; sys.exit(1)").check([FIRST.plan])


def test_the_secrets_go_by_environment_and_the_request_has_none(tmp_path: Path) -> None:
    script = (
        "import os, sys; request = sys.stdin.read(); sys.stderr.write(request + os.environ['AWS_SECRET_ACCESS_KEY'])"
    )
    secret = SETTINGS.s3.model_copy(update={"secret_access_key": "canary-7f3a"})
    settings = SETTINGS.model_copy(update={"s3": secret})
    (outcome,) = submitter(tmp_path, script, settings=settings).submit([FIRST])
    assert outcome.reason.count("canary-7f3a") == 1


@pytest.mark.stack
@pytest.mark.timeout(600)
def test_the_planner_refuses_one_plan_and_takes_the_others(tmp_path: Path) -> None:
    real = SubprocessSubmitter(SETTINGS, {"KEYSTONE_HOME": str(tmp_path), "PATH": "/usr/bin:/bin"})
    plans = [warehouse(), warehouse("`nosuch` > 1"), warehouse("`user_id` > 'x' OR `at`"), kafka(), warehouse_raw()]
    reasons = real.check(plans)
    assert [bool(reason) for reason in reasons] == [False, True, True, False, False]
    assert "nosuch" in reasons[1]
