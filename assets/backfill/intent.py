"""An unfinished backfill is a branch of its table and a property that says what of: made in one commit, gone in one.

Where a process died, the next one that is asked for the same finds it there and goes on.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping

from pyiceberg.exceptions import CommitFailedException
from pyiceberg.manifest import DataFile
from pyiceberg.table import Table
from pyiceberg.table.snapshots import Snapshot, ancestors_of
from pyiceberg.table.update.snapshot import ManageSnapshots

from keystone_platform.errors import Terminal, Transient
from keystone_platform.gateways.iceberg_snapshots import FLINK_JOB_ID
from keystone_platform.plan.backfill import BRANCH_PREFIX, KAFKA, PROPERTY_PREFIX, Backfill, EventSource, Scope

ATTEMPTS = 20
"""Of the commit of a reference, against a router that commits every few seconds."""


def unfinished(table: Table) -> Mapping[str, Backfill]:
    """Return the backfills that began and neither ended nor were given up, by what was asked for."""
    held = (value for name, value in table.properties.items() if name.startswith(PROPERTY_PREFIX))
    return {each.request: each for each in map(Backfill.model_validate_json, held)}


def begin(table: Table, request: str, scope: Scope, source: EventSource = KAFKA) -> Backfill:
    """Make the branch of a new backfill.

    Raises:
        Transient: the table kept changing.
        Terminal: the table never had a commit.
    """
    head = table.current_snapshot()
    if head is None:
        message = f"{'.'.join(table.name())} has no rows and no history to branch from"
        raise Terminal(message, mend="Let its router land something first.")
    branch = f"{BRANCH_PREFIX}{request}-{uuid.uuid4().hex[:8]}"
    backfill = Backfill(branch=branch, request=request, scope=scope, source=source)
    for _ in range(ATTEMPTS):
        head = table.current_snapshot() or head
        transaction = table.transaction()
        transaction.set_properties({backfill.property: backfill.model_dump_json()})
        with ManageSnapshots(transaction) as manage:
            manage.create_branch(head.snapshot_id, backfill.branch)
        try:
            transaction.commit_transaction()
        except CommitFailedException:
            table.refresh()
            continue
        table.refresh()
        return backfill
    raise _kept_changing(table)


def give_up(table: Table, backfill: Backfill) -> None:
    """Drop branch and property; what the branch holds becomes garbage. Harmless when they are gone.

    The job must not run any more: its next commit would make the branch anew.
    """
    for _ in range(ATTEMPTS):
        table.refresh()
        transaction = table.transaction()
        if backfill.property in table.properties:
            transaction.remove_properties(backfill.property)
        if backfill.branch in table.refs():
            with ManageSnapshots(transaction) as manage:
                manage.remove_branch(backfill.branch)
        try:
            transaction.commit_transaction()
        except CommitFailedException:
            continue
        return
    raise _kept_changing(table)


def written(table: Table, backfill: Backfill) -> tuple[DataFile, ...]:
    """Return the data files that the backfill's job has committed to its branch."""
    head = table.snapshot_by_name(backfill.branch)
    if head is None:
        return ()
    mine = {each.snapshot_id for each in ancestors_of(head, table.metadata) if _is_of(each, backfill.job_id)}
    return tuple(
        entry.data_file
        for manifest in head.manifests(table.io)
        if manifest.added_snapshot_id in mine
        for entry in manifest.fetch_manifest_entry(table.io, discard_deleted=True)
        if entry.snapshot_id in mine
    )


def _is_of(snapshot: Snapshot, job_id: str) -> bool:
    return snapshot.summary is not None and snapshot.summary.additional_properties.get(FLINK_JOB_ID) == job_id


def _kept_changing(table: Table) -> Transient:
    message = f"{'.'.join(table.name())} kept changing"
    return Transient(message, mend="Run the backfill again.")
