"""`keystone schema`: what is published of streams' schemas, and a first draft of one from events."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from keystone_platform.commands import schema_infer
from keystone_platform.commands.output import stdout_console, table
from keystone_platform.settings import STREAMS_VARIABLE, load_settings, streams_folder

if TYPE_CHECKING:
    from collections.abc import Iterable

    from keystone_platform.gateways.ledger import Ledger
    from keystone_platform.schemas.compatibility import SchemaVersion

Streams = Annotated[
    Path | None,
    typer.Option(
        "--streams", metavar="DIR", help=f"Folder of the stream YAMLs; default ${STREAMS_VARIABLE}, else ./streams."
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document to stdout.")]


def register(app: typer.Typer) -> None:
    """Add this group's commands to the application."""
    group = typer.Typer(
        name="schema",
        help="What streams' events hold: published versions, and a draft from events.",
        no_args_is_help=True,
    )
    group.command()(show)
    group.command("list")(list_versions)
    group.command()(publish)
    group.command()(schema_infer.infer)
    app.add_typer(group)


def show(
    stream: Annotated[str, typer.Argument(metavar="STREAM", help="Name of a stream.")],
    version: Annotated[int | None, typer.Option(min=1, help="A published version; default: the newest.")] = None,
    declared: Annotated[
        bool, typer.Option("--declared", help="What the YAML says now, published or not; needs no server.")
    ] = False,
    streams: Streams = None,
) -> None:
    """Print a stream's schema as JSON Schema (draft 2020-12), as producers and consumers take it.

    Example: `keystone schema show playback > playback.schema.json`
    """
    from keystone_platform.errors import InvalidSpec
    from keystone_platform.schemas.document import Contract
    from keystone_platform.spec.loader import load_streams_leniently

    if declared:
        found = load_streams_leniently(streams or streams_folder(os.environ)).stream(stream)
        document = Contract.of(found.spec).document()
    else:
        published = _ledger().schemas(stream)
        chosen = [each for each in published if version in (None, each.version)]
        if not chosen:
            message = f"no version {version} of {stream} is published" if published else f"{stream} is not published"
            mend = f"There are 1 to {len(published)}." if published else "`keystone apply` or `schema publish` does it."
            raise InvalidSpec(message, mend=mend)
        document = chosen[-1].contract.document(chosen[-1].version)
    typer.echo(json.dumps(document, ensure_ascii=False, indent=2))


def list_versions(
    stream: Annotated[str | None, typer.Argument(metavar="[STREAM]", help="Only of this stream.")] = None,
    as_json: Json = False,
) -> None:
    """List the published versions, oldest first."""
    versions = _ledger().schemas(stream)
    if as_json:
        typer.echo(json.dumps({"versions": [_row(each) for each in versions]}, indent=2))
        return
    shown = table("stream", "version", "compatibility", "published", "digest")
    for each in versions:
        at = each.published_at.isoformat(timespec="seconds")
        shown.add_row(each.stream, str(each.version), each.compatibility, at, each.digest[:12])
    stdout_console().print(shown)


def publish(
    only: Annotated[list[str] | None, typer.Argument(metavar="[STREAM]...", help="Streams; default: all.")] = None,
    to: Annotated[
        Path | None,
        typer.Option(
            "--to", metavar="DIR", help="Also write every version to DIR/STREAM/VERSION.json and latest.json."
        ),
    ] = None,
    streams: Streams = None,
    as_json: Json = False,
) -> None:
    """Publish declared schemas that are new, without touching a router; `apply` does it for what it applies.

    Exit status 1 when a change breaks what a stream's `compatibility` keeps; then nothing is published.

    Example: `keystone schema publish --to build/schemas`
    """
    from keystone_platform.control.schemas import SchemaGate
    from keystone_platform.errors import InvalidSpecs
    from keystone_platform.gateways.clock import SystemClock
    from keystone_platform.spec.loader import load_streams

    fleet, ledger = load_streams(streams or streams_folder(os.environ)), _ledger()
    chosen = [fleet.stream(name) for name in only] if only else list(fleet.streams)
    gate = SchemaGate(ledger, SystemClock())
    errors = tuple(error for stream in chosen for error in gate.errors(stream))
    if errors:
        raise InvalidSpecs(errors)
    before = {(each.stream, each.version) for each in ledger.schemas()}
    now = [version for stream in chosen if (version := gate.publish(stream))]
    if to is not None:
        _write(to, [each for version in now for each in ledger.schemas(version.stream)])
    rows = [{**_row(each), "new": (each.stream, each.version) not in before} for each in now]
    if as_json:
        typer.echo(json.dumps({"versions": rows}, indent=2))
        return
    shown = table("stream", "version", "now", "digest")
    for row, each in zip(rows, now, strict=True):
        shown.add_row(each.stream, str(each.version), "published" if row["new"] else "unchanged", each.digest[:12])
    stdout_console().print(shown)


def _write(folder: Path, versions: Iterable[SchemaVersion]) -> None:
    for each in versions:  # oldest first: the last one written is the newest
        text = json.dumps(each.contract.document(each.version), ensure_ascii=False, indent=2) + "\n"
        place = folder / each.stream
        place.mkdir(parents=True, exist_ok=True)
        for name in (f"{each.version}.json", "latest.json"):
            (place / name).write_text(text, encoding="utf-8")


def _row(version: SchemaVersion) -> dict[str, str | int]:
    return {
        "stream": version.stream,
        "version": version.version,
        "digest": version.digest,
        "compatibility": version.compatibility,
        "published_at": version.published_at.isoformat(),
    }


def _ledger() -> Ledger:
    from keystone_platform.gateways.ledger import SqlLedger

    return SqlLedger(load_settings().ledger_url, create=False)
