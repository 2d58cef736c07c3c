"""`keystone audit`: proves hours of a table complete and free of duplicates, or says what is wrong with them."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape

from keystone_platform.commands.output import stdout_console
from keystone_platform.errors import InvalidSpec, KeystoneError
from keystone_platform.gateways.clock import SystemClock
from keystone_platform.settings import STREAMS_VARIABLE, load_settings, streams_folder

if TYPE_CHECKING:
    from assets.proof.prover import Prover
    from assets.proof.watermark import Watermark
    from keystone_platform.gateways.lake import IcebergLake
    from keystone_platform.plan.hour_proof import HourProof

_HOUR_HELP = "as 2026-11-01T10, in UTC."


def register(app: typer.Typer) -> None:
    """Add this group's commands to the application."""
    app.command()(audit)


def audit(
    table: Annotated[str, typer.Argument(help="namespace.table")],
    hour: Annotated[list[str] | None, typer.Option(metavar="HOUR", help=f"This hour, {_HOUR_HELP} Repeatable.")] = None,
    since: Annotated[str | None, typer.Option(metavar="HOUR", help=f"Hours from this one on, {_HOUR_HELP}")] = None,
    until: Annotated[str | None, typer.Option(metavar="HOUR", help=f"Hours before this one, {_HOUR_HELP}")] = None,
    whole: Annotated[
        bool, typer.Option("--whole", help="Compare every event that Kafka still has, not about 100,000 an hour.")
    ] = False,
    streams: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help=f"Folder of the stream YAMLs; default ${STREAMS_VARIABLE}, else ./streams."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document on stdout, for programs.")] = False,
) -> None:
    """Prove hours of a table: `keystone audit events.playback --hour 2026-11-01T10 --whole`.

    Counts duplicates and gaps by (topic, partition, offset), reads the same offsets from Kafka again, judges each event
    by the route's plan in DuckDB, and compares counts and values with the landed rows. Without --hour: all hours that
    have rows, newest first. Records each proof, moves the table's proven watermark; exit status 1 if an hour is broken.
    """
    from assets.proof.prover import Prover, proofs_of
    from keystone_platform.gateways.lake import IcebergLake
    from keystone_platform.plan.declared_tables import declared_table

    settings = load_settings()
    declared = declared_table(streams or streams_folder(os.environ), table)
    prover = Prover(settings, declared.plan, proofs_of(settings), SystemClock())
    chosen = [_hour(each) for each in hour or ()]
    if chosen and (since or until):
        message = "--hour and --since or --until exclude each other"
        raise InvalidSpec(message, mend="Choose one.")
    if not chosen:
        chosen = _hours_with_rows(IcebergLake(settings), table, since, until)
    proofs: list[HourProof] = []
    try:
        _prove(prover, chosen, whole, proofs)
        watermark = prover.advance()
    except KeystoneError:
        if proofs and not as_json:  # what is known is told, and recorded
            _show(proofs, stdout_console())
        raise
    if as_json:
        typer.echo(json.dumps(_as_json(table, proofs, watermark), indent=1))
    else:
        _show(proofs, stdout_console())
        typer.echo(_watermark_text(watermark, len(proofs)))
    if any(proof.findings for proof in proofs):
        raise typer.Exit(1)


def _prove(prover: Prover, hours: list[datetime], whole: bool, into: list[HourProof]) -> None:
    from keystone_platform.demo.progress import Progress

    clock = SystemClock()
    with Progress(Console(stderr=True), clock) as line:
        for number, each in enumerate(hours, 1):
            place = f"{each:%Y-%m-%d %H}:00, hour {number} of {len(hours)}"
            line.show(place)

            def tell(done: int, total: int, place: str = place) -> None:
                line.show(f"{place}: {done:,} of {total:,} offsets compared")

            into.append(prover.prove(each, whole=whole, progress=tell))


def _hours_with_rows(lake: IcebergLake, table: str, since: str | None, until: str | None) -> list[datetime]:
    first = _hour(since) if since else datetime.min.replace(tzinfo=UTC)
    end = _hour(until) if until else datetime.max.replace(tzinfo=UTC)
    hours = [total.hour for total in lake.hours(table) if total.hour and first <= total.hour < end]
    return sorted(hours, reverse=True)


def _hour(text: str) -> datetime:
    try:
        return datetime.strptime(text[:13].replace(" ", "T"), "%Y-%m-%dT%H").replace(tzinfo=UTC)
    except ValueError as error:
        message = f"{text!r} is no hour"
        raise InvalidSpec(message, mend="Write it as 2026-11-01T10, in UTC.") from error


def _as_json(table: str, proofs: list[HourProof], watermark: Watermark) -> dict[str, Any]:
    hours = [
        {"standing": proof.standing.value, "findings": list(proof.findings), **proof.model_dump(mode="json")}
        for proof in proofs
    ]
    return {
        "table": table,
        "proven_until": watermark.until.isoformat() if watermark.until else None,
        "proven_snapshot_id": watermark.snapshot_id,
        "stopped_by": watermark.stopped_by.isoformat() if watermark.stopped_by else None,
        "hours": hours,
    }


def _show(proofs: list[HourProof], console: Console) -> None:
    from rich.table import Table

    shown = Table("hour (UTC)", "", show_edge=False, pad_edge=False)
    for column in ("rows", "duplicates", "gaps", "compared", "read", "landed", "filtered", "dead", "missing"):
        shown.add_column(column, justify="right")
    shown.add_column("what to know", overflow="fold")
    for proof in proofs:
        identities, compared = proof.identities, proof.compared
        counts = (compared.read, compared.landed, compared.filtered, compared.dead, compared.missing)
        shown.add_row(
            f"{proof.hour:%Y-%m-%d %H}",
            proof.standing.value,
            f"{identities.rows:,}",
            f"{identities.duplicates:,}",
            "" if identities.gaps is None else f"{identities.gaps:,}",
            "all" if proof.whole else f"{compared.offsets / max(1, proof.segment_offsets):.1%}",
            *(f"{count:,}" for count in counts),
            escape("; ".join(_to_know(proof))),
        )
    console.print(shown)


def _to_know(proof: HourProof) -> list[str]:
    identities, compared = proof.identities, proof.compared
    counted: tuple[tuple[int, str], ...] = (
        (proof.expired_partitions, "partitions of which Kafka no longer has the beginning"),
        (identities.expired_rows, "rows that Kafka no longer has"),
        (identities.gaps_expired or 0, "gaps that nobody can explain any more"),
        (identities.gaps_unread, "gaps not looked up, see --whole"),
        (compared.waiting, "events behind the newest row: not landed yet"),
        (identities.late, "late rows"),
        (identities.strangers, "rows of other topics"),
        (compared.earlier_plan, "events as an earlier plan took them"),
    )
    accounted = proof.accounted
    if accounted:
        counted += (
            (accounted.produced.dropped_total, "events dropped by their producers"),
            (accounted.produced.silent, "producers that went silent: their last minute is not counted"),
            (accounted.lacking, accounted.lacking_text),
        )
    return [*proof.findings, *proof.examples[:3], *(f"{count:,} {what}" for count, what in counted if count)]


_NO_PROOF = "has no proof that holds for the rows that it has now"
"""They may have come since: an hour that is still being written is proven when it is over."""


def _watermark_text(watermark: Watermark, proven: int) -> str:
    if not proven:
        return "no hour to audit"
    if watermark.until is None:
        return f"not proven: the first hour with rows, {watermark.stopped_by:%Y-%m-%d %H}, {_NO_PROOF}"
    stopped = f"; {watermark.stopped_by:%Y-%m-%d %H} {_NO_PROOF}" if watermark.stopped_by else ""
    return f"proven until {watermark.until:%Y-%m-%d %H:%M}, snapshot {watermark.snapshot_id}{stopped}"
