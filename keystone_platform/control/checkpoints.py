"""Looks at a route's checkpoints and savepoints: what each holds, and which one the route's next start begins from."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace

from keystone_platform.control.gateways import Gateways
from keystone_platform.control.goals import deployed
from keystone_platform.control.recovery import recovery_point
from keystone_platform.errors import InvalidSpec, KeystoneError, Terminal
from keystone_platform.gateways.kafka import Offsets
from keystone_platform.gateways.objects import CHECKPOINT_METADATA, StoredObject
from keystone_platform.plan.checkpoint_contents import Contents, Reach, dangers, positions
from keystone_platform.plan.checkpoint_report import CheckpointLine, CheckpointReport, Kind
from keystone_platform.plan.deployment import Deployment, newest_taken
from keystone_platform.plan.observation import CheckpointAttempt
from keystone_platform.plan.recovery import checkpoint_id, positions_of
from keystone_platform.plan.router_plan import RouterPlan, WarehouseTarget

LARGEST_METADATA_BYTES = 64 * 1024 * 1024
"""Larger ones are not read: a router's state is some kilobytes."""

_JOBS_ASKED = 5
"""Of so many of the route's jobs, the newest, the cluster is asked what it remembers."""

_FOLDER = re.compile(r"[0-9a-f]{32}/(?:chk-\d+|savepoint-[^/]+)/")
_JOB_ID = 32


def inspect_checkpoints(gateways: Gateways, route: str, last: int) -> CheckpointReport:
    """Return what is known of the route's `last` newest checkpoints and savepoints; touches nothing.

    Blocks for two listings, a GET for each, a few requests to Flink and Kafka, the table's newest files, and a JVM.
    A server that does not answer is told in the report, but for object store and ledger.

    Raises:
        InvalidSpec: the route was never deployed.
        Transient: object store or ledger do not answer.
    """
    history = gateways.ledger.history(route)
    if not history:
        deployed(gateways.ledger, [route])  # raises, and says which names are close
        message = f"{route!r} names no single route"
        raise InvalidSpec(message, mend="Name one, `<stream>.<route>`.")
    plan, notes = (newest_taken(history) or history[0]).plan, list[str]()
    # the table before the checkpoints, the topics after them: what is committed or sent meanwhile accuses no checkpoint
    reach = _landed(gateways, plan, notes)
    found = [*_found(gateways, route, {each.job_id: each.epoch for each in history}, notes)]
    origin, restart = _restart(gateways, plan, history, notes)
    found.sort(key=lambda line: (line.at, line.checkpoint_id or 0), reverse=True)
    read = _read(gateways, found[:last])
    topics = {*plan.source.topics, *(topic for _, contents in read if contents for topic in contents.offsets)}
    reach = _with_topics(gateways, reach, sorted(topics), notes)
    committed = _committed(gateways, plan, {line.job_id for line, _ in read}, notes)
    return CheckpointReport(
        route=route,
        asked_at=gateways.clock.now(),
        table=reach.table,
        restart=restart,
        lines=tuple(_judged(line, contents, reach, origin, committed) for line, contents in read),
        left_out=len(found) - len(read),
        notes=tuple(dict.fromkeys(notes)),
    )


@contextmanager
def _noted(notes: list[str], what: str) -> Iterator[None]:
    """Tell what is not known because somebody did not answer."""
    try:
        yield
    except KeystoneError as error:
        notes.append(f"{what} not known: {error}")


def _found(gateways: Gateways, route: str, epochs: Mapping[str, int], notes: list[str]) -> Iterator[CheckpointLine]:
    """Yield what is in S3, each with what Flink tells of it, then what only Flink tells of."""
    attempts = [*_attempts(gateways, list(epochs), notes)]
    completed = {attempt.path: attempt for _, attempt in attempts if attempt.path}
    stored = [replace(line, epoch=epochs.get(line.job_id)) for line in _stored(gateways, route)]
    for line in stored:
        attempt = completed.get(line.uri or "")
        yield replace(line, at=attempt.at, took_s=attempt.took_s) if attempt else line
    there = {line.uri for line in stored}
    for job_id, attempt in attempts:
        if attempt.path not in there:
            yield CheckpointLine(
                job_id=job_id,
                kind="savepoint" if attempt.is_savepoint else "checkpoint",
                status="subsumed" if attempt.status == "completed" else attempt.status,
                checkpoint_id=attempt.checkpoint_id,
                epoch=epochs[job_id],
                at=attempt.at,
                bytes=attempt.state_bytes,
                took_s=attempt.took_s,
                remarks=(attempt.failure,) if attempt.failure else (),
            )


def _attempts(gateways: Gateways, job_ids: Sequence[str], notes: list[str]) -> Iterator[tuple[str, CheckpointAttempt]]:
    with _noted(notes, "how long they took, and which failed, is"):
        known = {job.job_id for job in gateways.flink.jobs()}
        for job_id in [each for each in job_ids if each in known][:_JOBS_ASKED]:
            for attempt in gateways.flink.checkpoints(job_id).history:
                yield job_id, attempt


def _stored(gateways: Gateways, route: str) -> Iterator[CheckpointLine]:
    places: tuple[tuple[Kind, str], ...] = (
        ("checkpoint", gateways.checkpoint_directory(route) + "/"),
        ("savepoint", gateways.savepoints_of(route) + "/"),
    )
    for kind, prefix in places:
        folders: dict[str, list[StoredObject]] = {}
        for each in gateways.objects.listed(prefix):
            name = _FOLDER.match(each.uri.removeprefix(prefix))
            if name:  # else it belongs to its job as a whole
                folders.setdefault(name[0], []).append(each)
        for folder, objects in folders.items():
            job_id, _, number = folder.rstrip("/").partition("/chk-")
            complete = any(each.uri == f"{prefix}{folder}{CHECKPOINT_METADATA}" for each in objects)
            yield CheckpointLine(
                job_id=job_id[:_JOB_ID],
                kind=kind,
                status="retained" if complete else "incomplete",
                checkpoint_id=int(number) if number else None,
                epoch=None,
                at=max(each.modified for each in objects),
                bytes=sum(each.bytes for each in objects),
                uri=f"{prefix}{folder}".rstrip("/"),
            )


def _read(gateways: Gateways, lines: Sequence[CheckpointLine]) -> list[tuple[CheckpointLine, Contents | None]]:
    """Return each line, with its id, and what it holds; None where it is not in S3."""
    files: dict[str, bytes] = {}
    contents: dict[str, Contents] = {}
    for line in lines:
        if line.uri is None or line.status != "retained":
            continue
        try:
            files[line.uri] = _metadata(gateways, line.uri)
        except KeystoneError as error:
            contents[line.uri] = Contents(unreadable=str(error))
    contents |= dict(zip(files, gateways.checkpoint_reader.read(list(files.values())), strict=True))
    return [
        (replace(line, checkpoint_id=checkpoint_id(files[line.uri])), contents[line.uri])
        if line.uri in files
        else (line, contents.get(line.uri or ""))
        for line in lines
    ]


def _metadata(gateways: Gateways, uri: str) -> bytes:
    file = f"{uri}/{CHECKPOINT_METADATA}"
    size = gateways.objects.size(file) or 0
    if size > LARGEST_METADATA_BYTES:
        message = f"its metadata has {size:,} bytes"
        raise Terminal(message)
    return gateways.objects.head(file, max(size, 1))


def _landed(gateways: Gateways, plan: RouterPlan, notes: list[str]) -> Reach:
    """Return how far the table reaches, if the route has one."""
    if not isinstance(plan.target, WarehouseTarget):
        return Reach()
    table = plan.target.table
    with _noted(notes, f"what {table} holds is"):
        return Reach(landed=gateways.lake.next_offsets(table, plan.source.topics), table=table)
    return Reach(table=table)


def _with_topics(gateways: Gateways, reach: Reach, topics: Sequence[str], notes: list[str]) -> Reach:
    """Return it with how far these topics reach: the plan's, and those that only a checkpoint knows."""
    offsets: dict[str, Offsets] = {}
    for topic in topics:
        with _noted(notes, "how far the topics reach is"):
            offsets[topic] = gateways.kafka.offsets(topic)
    begin = {topic: each.begin for topic, each in offsets.items()}
    return replace(reach, begin=begin, end={topic: each.end for topic, each in offsets.items()})


def _restart(
    gateways: Gateways, plan: RouterPlan, history: Sequence[Deployment], notes: list[str]
) -> tuple[str | None, str]:
    """Return what a start would begin from, if the job ended now, as the ledger would have it and in words."""
    try:
        origin = recovery_point(gateways, plan, history, notes.append)
    except KeystoneError as error:
        return None, f"nothing: {error}"
    landed = positions_of(origin)
    return origin, f"where its table ends, {landed}" if landed else origin or "the earliest offsets"


def _committed(gateways: Gateways, plan: RouterPlan, job_ids: Collection[str], notes: list[str]) -> Mapping[str, int]:
    """Return the newest checkpoint of each job that the table's history tells of."""
    found: dict[str, int] = {}
    if isinstance(plan.target, WarehouseTarget):
        with _noted(notes, "which checkpoints are committed is"):
            for job_id in job_ids:
                number = gateways.lake.committed_checkpoint(plan.target.table, job_id)
                if number is not None:
                    found[job_id] = number
    return found


def _judged(
    line: CheckpointLine, contents: Contents | None, reach: Reach, origin: str | None, committed: Mapping[str, int]
) -> CheckpointLine:
    if contents is None:
        return line
    held = () if contents.unreadable else positions(contents.offsets, reach)
    newest = committed.get(line.job_id, -1)
    later = newest if line.checkpoint_id is not None and newest > line.checkpoint_id else None
    return replace(
        line,
        held=held,
        unreadable=contents.unreadable,
        is_restart_point=line.uri == origin,
        remarks=(*line.remarks, *dangers(held, reach.table, later)),
    )
