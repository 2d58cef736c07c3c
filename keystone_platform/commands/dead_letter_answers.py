"""What `keystone dlq` prints: tables for people, documents for programs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import typer
from rich.table import Table
from rich.text import Text

from keystone_platform.commands.output import stdout_console

if TYPE_CHECKING:
    from keystone_platform.audit.truth import RouteTruth
    from keystone_platform.dead_letters.replay import ReplayVerdict
    from keystone_platform.dead_letters.summary import Summary


def print_summary(topic: str, records: int, summary: Summary, shares: bool, payload: bool) -> None:
    """Print the counts and the newest letters, for people."""
    from keystone_platform.dead_letters.text import shown

    console = stdout_console()
    if not summary.letters:
        typer.echo(
            f"no dead letters in {topic}" if not records else f"none of the {records:,} in {topic} fits the options"
        )
        return
    counts = Table("route", "reason", show_edge=False, pad_edge=False)
    for column in ("letters", *(("of all events",) if shares else ())):
        counts.add_column(column, justify="right")
    counts.add_column("oldest (UTC)")
    counts.add_column("newest (UTC)")
    for tally in summary.tallies:
        share = summary.share(tally)
        told = [] if not shares else ["" if share is None else f"{share:.3%}"]
        counts.add_row(
            *map(
                Text, (tally.route, tally.code, f"{tally.letters:,}", *told, _clock(tally.oldest), _clock(tally.newest))
            )
        )
    console.print(counts)
    if not summary.newest:
        return
    newest = Table("died (UTC)", "route", "event", "reason", "text", show_edge=False, pad_edge=False)
    if payload:
        newest.add_column("payload", overflow="fold")
    for letter in summary.newest:
        cells = (_clock(letter.died_at), letter.route, str(letter.source), letter.code, shown(letter.text.encode()))
        newest.add_row(*map(Text, cells), *((Text(shown(letter.payload)),) if payload else ()))
    console.print(f"\nthe newest {len(summary.newest)} of {summary.letters:,}")
    console.print(newest)


def _clock(time: datetime | None) -> str:
    return f"{time.astimezone(UTC):%Y-%m-%d %H:%M:%S}" if time else ""


def summary_json(topic: str, summary: Summary, shares: bool) -> dict[str, Any]:
    """Return the same for programs."""
    from keystone_platform.dead_letters.text import as_json

    return {
        "topic": topic,
        "letters": summary.letters,
        "reasons": [
            {
                "route": tally.route,
                "code": tally.code,
                "letters": tally.letters,
                "share": summary.share(tally) if shares else None,
                "oldest": tally.oldest.isoformat() if tally.oldest else None,
                "newest": tally.newest.isoformat() if tally.newest else None,
            }
            for tally in summary.tallies
        ],
        "newest": [as_json(letter) for letter in summary.newest],
    }


def print_verdict(verdict: ReplayVerdict, ends: Mapping[str, RouteTruth], dry_run: bool) -> None:
    """Print what a replay came to, for people."""
    console = stdout_console()
    table = Table("route", show_edge=False, pad_edge=False)
    columns = ("letters", "already replayed", "same plan", "would be sent" if dry_run else "sent")
    for column in (*columns, *(("landed", "filtered out", "dead again", "missing") if ends else ())):
        table.add_column(column, justify="right")
    for counts in verdict.routes.values():
        end = ends.get(counts.route)
        numbers = [counts.letters, counts.repeated, counts.unchanged, counts.sent]
        numbers += [end.landed, end.filtered, end.dead, end.lost] if end else []
        table.add_row(counts.route, *(f"{number:,}" for number in numbers))
    if verdict.routes:
        console.print(table)
    else:
        typer.echo("no dead letter to replay fits the options")
    if any(counts.unchanged for counts in verdict.routes.values()):
        console.print(
            "Those of the same plan died under the plan that runs now and would again: mend the stream's YAML and"
            " `keystone apply` first; or --same-plan, when the fix was elsewhere.",
            style="yellow",
            markup=False,
        )
    for counts in verdict.routes.values():
        if counts.cut:
            told = f"{counts.cut:,} letters of {counts.route} hold only an event's beginning (too_large): left out"
            console.print(told, style="yellow", markup=False)
    for route, letters in verdict.strangers.items():
        console.print(f"{letters:,} letters of {route}: it is not declared, or takes none again", markup=False)


def verdict_json(verdict: ReplayVerdict, ends: Mapping[str, RouteTruth], dry_run: bool, waited: bool) -> dict[str, Any]:
    """Return the same for programs; what became of the events is told where it was waited for."""
    routes = []
    for counts in verdict.routes.values():
        end = ends.get(counts.route)
        fates = (end.landed, end.filtered, end.dead, end.lost) if end else (0, 0, 0, 0)
        told = dict(zip(("landed", "filtered", "dead_again", "missing"), fates, strict=True))
        routes.append({**asdict(counts), **(told if waited else {})})
    return {"dry_run": dry_run, "sent": verdict.sent, "routes": routes, "not_replayable": verdict.strangers}
