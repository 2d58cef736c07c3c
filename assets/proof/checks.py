"""The checks of an hour that its proof answers."""

from __future__ import annotations

from typing import Any

import dagster as dg

from assets import keys
from assets.produced.asset import day_metadata
from assets.proof.watermark import Watermark
from keystone_platform.errors import KeystoneError
from keystone_platform.plan.hour_proof import Accounted, HourProof, Standing


def proof_check_specs(compacted: dg.AssetKey) -> list[dg.AssetCheckSpec]:
    """Return the checks of an asset of compacted hours that its proofs answer."""
    return [
        dg.AssetCheckSpec(
            keys.COMPLETE,
            asset=compacted,
            description="By a second look at Kafka each event of the hour is landed once, filtered out or dead, and "
            "rows say what events say. A warning where Kafka has the events no more, or where they are yet to land.",
        ),
        dg.AssetCheckSpec(
            keys.SCHEMA,
            asset=compacted,
            description="The table has every declared column, its partitions and its properties.",
        ),
        dg.AssetCheckSpec(
            keys.ACCOUNTED,
            asset=compacted,
            description="Kafka has every event of the hour that a producer was told it has.",
        ),
    ]


def proof_results(compacted: dg.AssetKey, proof: HourProof, watermark: Watermark | None) -> list[dg.AssetCheckResult]:
    """Return the outcomes: an error where something is wrong, a warning where it can't be told."""
    wrong = [finding for finding in proof.findings if finding not in proof.schema_differences]
    standing = Standing.BROKEN if wrong else Standing.HOLDS if proof.standing is Standing.BROKEN else proof.standing
    complete = dg.AssetCheckResult(
        asset_key=compacted,
        check_name=keys.COMPLETE,
        passed=standing is Standing.HOLDS,
        severity=dg.AssetCheckSeverity.ERROR if wrong else dg.AssetCheckSeverity.WARN,
        description="; ".join([*wrong, *proof.examples[:5]]) or _DESCRIBED[standing],
        metadata={**proof_metadata(proof), **_watermark_metadata(watermark)},
    )
    schema = dg.AssetCheckResult(
        asset_key=compacted,
        check_name=keys.SCHEMA,
        passed=not proof.schema_differences,
        severity=dg.AssetCheckSeverity.ERROR,
        description="; ".join(proof.schema_differences) or None,
        metadata={keys.SCHEMA_DIFFERENCES: len(proof.schema_differences)},
    )
    return [complete, schema, _accounted(compacted, proof.accounted)]


def _accounted(compacted: dg.AssetKey, found: Accounted | None) -> dg.AssetCheckResult:
    text = "no KeystoneProducer counted events of this hour"
    metadata: dict[str, Any] = {}
    if found:
        counts = found.produced
        text = (
            f"{counts.attempted:,} attempted = {counts.acknowledged:,} acknowledged + {counts.dropped_total:,} dropped"
        )
        text += f" + {counts.pending:,} pending" if counts.pending else ""
        if found.lacking:
            text = f"{found.lacking:,} {found.lacking_text} ({text})"
        told = {keys.IN_KAFKA: found.in_kafka, keys.UNACKNOWLEDGED: found.unacknowledged}
        metadata = {**day_metadata(counts), **{key: count for key, count in told.items() if count is not None}}
    return dg.AssetCheckResult(
        asset_key=compacted,
        check_name=keys.ACCOUNTED,
        passed=found is None or not found.lacking,
        severity=dg.AssetCheckSeverity.WARN,
        description=text,
        metadata=metadata,
    )


def unproven_result(compacted: dg.AssetKey, error: KeystoneError) -> dg.AssetCheckResult:
    """Return the outcome of COMPLETE where no proof could be made: nothing is known, so a warning."""
    return dg.AssetCheckResult(
        asset_key=compacted,
        check_name=keys.COMPLETE,
        passed=False,
        severity=dg.AssetCheckSeverity.WARN,
        description=f"not proven: {error}",
    )


_DESCRIBED = {
    Standing.HOLDS: "complete",
    Standing.EXPIRED: "Kafka no longer has all of the hour; nothing is wrong in what could be looked at",
    Standing.WAITING: "the newest events have not landed: the router is behind or stopped",
}


def proof_metadata(proof: HourProof) -> dict[str, Any]:
    """Return a proof's counts as metadata; a count that the route can't have is left out."""
    identities, compared = proof.identities, proof.compared
    gaps = {
        keys.GAPS: identities.gaps,
        keys.GAPS_UNREAD: identities.gaps_unread if identities.gaps is not None else None,
        keys.GAPS_EXPIRED: identities.gaps_expired,
    }
    return {
        keys.STANDING: proof.standing.value,
        keys.ROWS: identities.rows,
        keys.DUPLICATES: identities.duplicates,
        keys.BEHIND: identities.late,
        **{key: count for key, count in gaps.items() if count is not None},
        keys.COMPARED_WHOLE: proof.whole,
        keys.COMPARED_OFFSETS: compared.offsets,
        keys.EVENTS_READ: compared.read,
        keys.EVENTS_LANDED: compared.landed,
        keys.EVENTS_FILTERED: compared.filtered,
        keys.EVENTS_DEAD: compared.dead,
        keys.EVENTS_MISSING: compared.missing,
        keys.EVENTS_WAITING: compared.waiting,
        keys.ROWS_UNEXPECTED: compared.unexpected,
        keys.ROWS_DIFFERENT: compared.different,
        keys.EXPIRED_PARTITIONS: proof.expired_partitions,
        keys.EXPIRED_ROWS: identities.expired_rows,
        keys.CHECKSUM_EVENTS: compared.checksum_events,
        keys.CHECKSUM_ROWS: compared.checksum_rows,
        keys.TABLE: proof.table,
        keys.SNAPSHOT: str(proof.snapshot_id),
    }


def _watermark_metadata(watermark: Watermark | None) -> dict[str, Any]:
    until = watermark.until if watermark else None
    return {keys.PROVEN_UNTIL: dg.MetadataValue.timestamp(until)} if until else {}
