"""The warehouse on a real S3 server: objects, refusals, and a materialised hour with its checks."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import duckdb
import pytest

from assets import keys
from assets.compacted import compacted_assets
from assets.compaction.compact import compact_hour
from assets.compaction.select import Policy
from assets.resource import WarehouseResource
from assets.routes import warehouse_routes
from assets.upkeep.policy import order
from assets.upkeep.upkeep import Upkeep
from keystone_platform.errors import InvalidSpec, Terminal, Transient
from keystone_platform.gateways.clock import SystemClock
from keystone_platform.gateways.iceberg_snapshots import PROVEN_TAG
from keystone_platform.gateways.kafka import ConfluentKafka
from keystone_platform.gateways.lake import IcebergLake
from keystone_platform.gateways.objects import (
    S3ObjectStore,
    bucket_and_key,
    checkpoint_prefix,
    newest_checkpoint,
    s3_client,
)
from keystone_platform.plan.plan_router import plan_fleet
from keystone_platform.query.answer import ask
from keystone_platform.query.locked import locked_session
from keystone_platform.query.session import EXTENSIONS, bare_session, extension_file
from keystone_platform.query.warehouse_file import FILE, refresh
from keystone_platform.settings import SETTINGS_VARIABLE, Settings
from keystone_platform.spec.loader import load_streams
from keystone_platform.spec.types import Scalar
from keystone_platform.stack.embedded import EmbeddedStack
from tests.contract.lake_tables import ELEVEN, TABLE, TEN, land, prove, warehouse_plan

ROOT = Path(__file__).parents[2]

pytestmark = pytest.mark.stack

STREAM = f"""
stream: playback
owner: team:player
schema: {{user_id: bigint}}
routes:
  - sink: {{warehouse: {{table: {TABLE}}}}}
"""


@pytest.fixture(scope="module")
def settings() -> Iterator[Settings]:
    folder = Path(tempfile.mkdtemp(prefix="keystone-s3-"))
    stack = EmbeddedStack(folder, streams=folder / "streams", usual_ports=False)
    try:
        yield stack.up(without=("kafka", "flink", "dagster")).settings
    finally:
        stack.down()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(autouse=True)
def no_kafka(monkeypatch: pytest.MonkeyPatch) -> None:
    """Refuse at once: a client takes ten seconds to find that no broker answers."""

    def refuse(*_: object) -> None:
        message = "there is no Kafka here"
        raise Transient(message)

    monkeypatch.setattr(ConfluentKafka, "offsets_at", refuse)


@pytest.fixture
def lake(settings: Settings) -> IcebergLake:
    lake = IcebergLake(settings)
    lake.ensure_table(warehouse_plan())
    return lake


def elsewhere(settings: Settings, **s3: str) -> Settings:
    """The settings with another endpoint or other keys."""
    catalog = {f"s3.{name.replace('_', '-')}": value for name, value in s3.items()}
    changed = settings.s3.model_copy(update=s3)
    return settings.model_copy(update={"s3": changed, "catalog": {**settings.catalog, **catalog}})


def test_the_newest_checkpoint_is_found_among_real_keys(settings: Settings) -> None:
    client = s3_client(settings.s3)
    objects = S3ObjectStore(client)
    directory, job = "s3://keystone/flink/playback.warehouse", "a" * 32
    for name in ("chk-9/_metadata", "chk-10/_metadata", "chk-11/part"):
        client.put_object(Bucket="keystone", Key=f"flink/playback.warehouse/{job}/{name}", Body=b"x" * 7)
    listed = objects.keys(checkpoint_prefix(directory, job))
    assert newest_checkpoint(listed, directory, job) == f"{directory}/{job}/chk-10"
    assert objects.size(f"{directory}/{job}/chk-10/_metadata") == 7
    assert objects.size(f"{directory}/{job}/chk-12/_metadata") is None
    assert objects.delete_prefix(f"{directory}/{job}/chk-9/") == 1
    assert objects.delete(listed) == 3  # one of them is gone already
    assert objects.keys(directory) == ()
    with pytest.raises(InvalidSpec, match="whole bucket"):
        objects.delete_prefix("s3://keystone/")


def test_wrong_keys_are_terminal_everywhere_and_no_secret_is_told(settings: Settings, lake: IcebergLake) -> None:
    wrong = elsewhere(settings, secret_access_key="canary-secret")
    for act in (
        lambda: IcebergLake(wrong).ensure_table(warehouse_plan(table="events.refused")),
        lambda: IcebergLake(wrong).hours(TABLE),
        lambda: S3ObjectStore(s3_client(wrong.s3)).keys("s3://keystone/flink"),
        lambda: ask(wrong.model_copy(update={"catalog": settings.catalog}), f"select * from {TABLE}"),
    ):
        with pytest.raises(Terminal, match="refuses access") as caught:
            act()
        assert "canary" not in str(caught.value)


def test_a_dead_server_is_transient_everywhere(settings: Settings, lake: IcebergLake) -> None:
    dead = elsewhere(settings, endpoint="http://127.0.0.1:1")
    for act in (
        lambda: IcebergLake(dead).ensure_table(warehouse_plan(table="events.unreachable")),
        lambda: IcebergLake(dead).hours(TABLE),
        lambda: S3ObjectStore(s3_client(dead.s3)).keys("s3://keystone/flink"),
        lambda: ask(dead.model_copy(update={"catalog": settings.catalog}), f"select * from {TABLE}"),
    ):
        with pytest.raises(Transient):
            act()


def test_a_missing_bucket_is_terminal(settings: Settings) -> None:
    nowhere = settings.model_copy(update={"catalog": {**settings.catalog, "warehouse": "s3://nowhere/warehouse"}})
    with pytest.raises(Terminal, match="bucket"):
        IcebergLake(nowhere).ensure_table(warehouse_plan(table="other.table"))
    with pytest.raises(Terminal, match="bucket"):
        S3ObjectStore(s3_client(settings.s3)).keys("s3://nowhere/")


def test_materialising_an_hour_compacts_it_and_checks_what_is_there(
    settings: Settings, lake: IcebergLake, tmp_path: Path
) -> None:
    land(lake.load(TABLE), range(300), files=6)
    (tmp_path / "streams").mkdir()
    (tmp_path / "streams" / "playback.yaml").write_text(STREAM)
    (tmp_path / "settings.json").write_text(settings.model_dump_json())
    fleet = load_streams(tmp_path / "streams")
    compacted = compacted_assets(warehouse_routes(fleet, plan_fleet(fleet)))
    resources = {"warehouse": WarehouseResource(settings_file=str(tmp_path / "settings.json"))}
    result = dg.materialize(compacted, partition_key="2026-11-01-10:00", resources=resources)
    metadata = result.asset_materializations_for_node("compacted_since_2026_01_01_00")[0].metadata
    numbers = {key: metadata[key].value for key in (keys.ROWS, keys.FILES_BEFORE, keys.FILES_AFTER, keys.DUPLICATES)}
    assert numbers == {keys.ROWS: 300, keys.FILES_BEFORE: 6, keys.FILES_AFTER: 1, keys.DUPLICATES: 0}
    checks = {check.check_name: check.passed for check in result.get_asset_check_evaluations()}
    # there is no Kafka: what can't be proven is a warning
    assert checks == {keys.NO_DUPLICATES: True, keys.OBJECTS_PRESENT: True, keys.COMPLETE: False}
    land(lake.load(TABLE), range(290, 310), hour=TEN)
    again = dg.materialize(compacted, partition_key="2026-11-01-10:00", resources=resources)
    failed = [check.check_name for check in again.get_asset_check_evaluations() if not check.passed]
    assert failed == [keys.NO_DUPLICATES, keys.COMPLETE]


def test_an_hour_that_can_not_be_compacted_keeps_no_other_from_it(
    settings: Settings, lake: IcebergLake, tmp_path: Path
) -> None:
    land(lake.load(TABLE), range(60), files=6)
    (tmp_path / "streams").mkdir()
    (tmp_path / "streams" / "playback.yaml").write_text(STREAM)
    (tmp_path / "streams" / "absent.yaml").write_text(STREAM.replace("playback", "absent"))
    (tmp_path / "settings.json").write_text(settings.model_dump_json())
    fleet = load_streams(tmp_path / "streams")
    compacted = compacted_assets(warehouse_routes(fleet, plan_fleet(fleet)))
    resources = {"warehouse": WarehouseResource(settings_file=str(tmp_path / "settings.json"))}
    result = dg.materialize(compacted, partition_key="2026-11-01-10:00", resources=resources, raise_on_error=False)
    assert not result.success
    done = [event.asset_key for event in result.get_asset_materialization_events()]
    assert [key.path[-1] for key in done if key] == ["playback"]


def test_upkeep_removes_what_nobody_needs_from_a_real_store(settings: Settings) -> None:
    name = "events.kept_up"
    client, lake = s3_client(settings.s3), IcebergLake(settings)
    lake.ensure_table(warehouse_plan(table=name))
    table = lake.load(name)
    for start in range(0, 60, 10):
        land(table, range(start, start + 10))
    compact_hour(lake, name, TEN, Policy(run_bytes=1))  # joined on the way to the store
    with table.refresh().transaction() as transaction:
        transaction.set_properties({"history.expire.min-snapshots-to-keep": "1"})
    bucket, key = bucket_and_key(table.location())
    left = f"{key}/data/0101/left.parquet"
    client.put_object(Bucket=bucket, Key=left, Body=b"left")
    upload = client.create_multipart_upload(Bucket=bucket, Key=f"{key}/data/begun.parquet")["UploadId"]
    client.upload_part(Bucket=bucket, Key=f"{key}/data/begun.parquet", UploadId=upload, PartNumber=1, Body=b"part")
    objects = S3ObjectStore(client)
    now = Upkeep(lake, objects, SystemClock(), {})
    assert [report.removed for report in now.tables(order(), [name])] == [()]
    later = Upkeep(lake, objects, DaysLater(), {})
    (told,) = later.tables(order(dry_run=True), [name])
    (report,) = later.tables(order(), [name])
    assert (report.removed, report.error) == (told.removed, None)
    gone = {each.thing: each.count for each in report.removed}
    assert gone == {"snapshots": 6, "data files": 6, "metadata files": 12, "orphan data files": 1, "uploads": 1}
    assert objects.uploads(table.location()) == ()
    assert objects.size(f"s3://{bucket}/{left}") is None
    landed = lake.load(name).scan(selected_fields=("_offset",)).to_arrow().column("_offset").to_pylist()
    assert sorted(landed) == list(range(60))
    assert [each.removed for each in later.tables(order(), [name])] == [()]


class DaysLater:
    """A clock four days ahead."""

    def now(self) -> datetime:
        return datetime.now(UTC) + timedelta(days=4)

    def sleep(self, seconds: float) -> None:
        raise AssertionError(seconds)


@pytest.fixture
def published(settings: Settings, lake: IcebergLake, tmp_path: Path) -> str:
    """The URI of a published warehouse.duckdb over a table of which an hour is proven."""
    lake.ensure_table(warehouse_plan(("user_id", Scalar.BIGINT), ("country", Scalar.STRING)))
    table = lake.load(TABLE)
    land(table, range(5000, 5010))
    if PROVEN_TAG not in table.metadata.refs:
        prove(table, ELEVEN)
    return refresh(settings, tmp_path / FILE, SystemClock(), S3ObjectStore(s3_client(settings.s3))).published


def test_what_the_page_and_the_notebook_for_analysts_show_runs(
    settings: Settings, published: str, tmp_path: Path
) -> None:
    assert published == "s3://keystone/analysts/warehouse.duckdb"
    docs = ROOT / "docs"
    recipes = re.findall(r"```python\n(.*?)```", (docs / "analysts.md").read_text(), re.DOTALL)
    cells = json.loads((docs / "analysts.ipynb").read_text())["cells"]
    recipes += ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]
    assert len(recipes) == 9
    (tmp_path / "settings.json").write_text(settings.model_dump_json())
    environment = {
        SETTINGS_VARIABLE: str(tmp_path / "settings.json"),
        "PATH": str(Path(sys.executable).parent),
        "HOME": str(tmp_path),
        "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]),
    }
    text = "\n".join(recipes)
    shown = subprocess.run([sys.executable, "-c", text], env=environment, capture_output=True, text=True, check=False)
    assert shown.returncode == 0, shown.stderr
    for told in ("plays", "rows in the oldest snapshot", "rows proven until", "('plays',) [("):
        assert told in shown.stdout


def test_what_the_page_shows_for_the_duckdb_command_line_runs(settings: Settings, published: str) -> None:
    (text,) = re.findall(r"```sql\n(.*?)```", (ROOT / "docs" / "analysts.md").read_text(), re.DOTALL)
    values = {
        "<key id>": settings.s3.access_key_id,
        "<secret>": settings.s3.secret_access_key,
        "<host:port>": settings.s3.endpoint.split("://")[1],
    }
    for placeholder, value in values.items():
        text = text.replace(placeholder, value)
    install, rest = text.split("\n", 1)
    assert install == "INSTALL httpfs; INSTALL avro; INSTALL iceberg; LOAD httpfs; LOAD avro; LOAD iceberg;"
    with duckdb.connect() as session:
        for name in EXTENSIONS:
            session.load_extension(extension_file(name))
        for statement in duckdb.extract_statements(rest):
            session.execute(statement)
        assert session.fetchall()


def test_a_reader_of_the_published_file_keeps_its_moment_over_a_refresh(
    settings: Settings, lake: IcebergLake, published: str, tmp_path: Path
) -> None:
    with bare_session(settings.s3) as reader, bare_session(settings.s3) as later:
        reader.execute(f"ATTACH '{published}' AS warehouse (READ_ONLY)")
        land(lake.load(TABLE), range(6000, 6003))
        refresh(settings, tmp_path / FILE, SystemClock())
        later.execute(f"ATTACH '{published}' AS warehouse (READ_ONLY)")
        counted = [
            session.execute(f"SELECT count(*) FROM warehouse.{TABLE}").fetchone()[0] for session in (reader, later)
        ]
    assert counted[1] == counted[0] + 3


def test_the_secret_key_is_in_nothing_that_is_published(settings: Settings, published: str) -> None:
    client = s3_client(settings.s3)
    keys_there = [item["Key"] for item in client.list_objects_v2(Bucket="keystone", Prefix="analysts/")["Contents"]]
    assert len(keys_there) > 1
    secret = settings.s3.secret_access_key.encode()
    found = [key for key in keys_there if secret in client.get_object(Bucket="keystone", Key=key)["Body"].read()]
    assert found == []


ATTACKS = [
    "select * from iceberg_scan('{other}')",
    "select * from read_text('s3://keystone/private/a.csv')",
    "select * from glob('s3://keystone/**')",
    "select * from read_text('s3://keystone/warehouse/events/playback-x/a.csv')",
    "select * from read_text('http://127.0.0.1:1/x')",
    "select * from read_text('/etc/passwd')",
    "copy (select 1) to 's3://keystone/private/b.csv'",
    "attach 's3://keystone/analysts/warehouse.duckdb' as w",
]


def test_a_locked_session_reads_granted_tables_on_s3_and_nothing_else(settings: Settings, lake: IcebergLake) -> None:
    lake.ensure_table(warehouse_plan(table="events.other"))
    for key in ("private/a.csv", "warehouse/events/playback-x/a.csv"):
        s3_client(settings.s3).put_object(Bucket="keystone", Key=key, Body=b"a\n1\n")
    session = locked_session(settings, [TABLE])
    for attack in ATTACKS:
        text = attack.replace("{other}", lake.load("events.other").metadata_location)
        with pytest.raises(InvalidSpec):
            session.query(text)
        with pytest.raises(duckdb.Error):  # and DuckDB itself, were the statement taken for a harmless one
            session._session.execute(text).fetchall()
    with pytest.raises(InvalidSpec):  # which DuckDB alone would send there, signed
        session.query("select * from read_text('s3://keystone/warehouse/events/playback/x?s3_endpoint=127.0.0.1:9')")
    assert list(session.query(f"select count(*) from {TABLE}").rows())
    session.close()
