"""The command `views`: a DuckDB file with a view per table, made by hand."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from keystone_platform.gateways.clock import SystemClock
from keystone_platform.settings import home_folder, load_settings


def register(app: typer.Typer) -> None:
    """Add this group's command to the application."""
    app.command()(views)


def views(
    out: Annotated[
        Path | None, typer.Option(help="The file to write, which is then not published; default: in the home folder.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="An object.")] = False,
) -> None:
    """Write `warehouse.duckdb`, with a view for each table as of now: `keystone views --out today.duckdb`.

    Dagster keeps one in the home folder and beside the warehouse up to date by itself. No secret is in it.
    """
    import json
    from dataclasses import asdict

    from keystone_platform.query.warehouse_file import FILE, refresh

    file = out or home_folder(os.environ) / FILE
    done = refresh(load_settings(), file, SystemClock(), publish=out is None)
    if as_json:
        typer.echo(json.dumps({"file": str(file), **asdict(done)}, indent=1))
        return
    typer.echo(f"{file}: {done.views} views" + ("" if done.written else ", nothing changed since it was written"))
    if done.published:
        typer.echo(f"published as {done.published}")
