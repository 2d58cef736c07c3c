"""The command `producers`: what services need to know to send to the declared streams."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from keystone_platform.settings import STREAMS_VARIABLE, streams_folder


def register(app: typer.Typer) -> None:
    """Add this group's command to the application."""
    app.command()(producers)


def producers(
    output: Annotated[
        Path | None, typer.Option("--output", metavar="FILE", help="Write it there, whole or not at all.")
    ] = None,
    streams: Annotated[
        Path | None,
        typer.Option(
            "--streams", metavar="DIR", help=f"Folder of the stream YAMLs; default ${STREAMS_VARIABLE}, else ./streams."
        ),
    ] = None,
) -> None:
    """Print the document that KeystoneProducer takes as `terms`: clusters, topic, acks and wait of each stream.

    Exit status 1 when a stream file is wrong. Asks no server, and holds no address and no secret.

    Example: `keystone producers --output producers.json`
    """
    from keystone_platform.plan.producing import plan_producers
    from keystone_platform.spec.loader import load_streams

    fleet = load_streams(streams or streams_folder(os.environ)).checked()
    text = plan_producers((stream.spec for stream in fleet.streams), fleet.clusters).model_dump_json(indent=1)
    if output is None:
        typer.echo(text)
        return
    fresh = output.with_name(f".{output.name}.{os.getpid()}")
    fresh.write_text(text + "\n", encoding="utf-8")
    fresh.replace(output)
    typer.echo(f"{output}: {len(fleet.streams):,} streams", err=True)
