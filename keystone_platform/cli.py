"""The command `keystone`: assembles the commands, and turns the platform's errors into a message and an exit status."""

from __future__ import annotations

import json
import sys

import typer
from rich.console import Console

from keystone_platform.commands import (
    audit,
    backfill,
    checkpoints,
    compact,
    dead_letters,
    demo,
    drill,
    failover,
    gateway,
    preview,
    produce,
    producers,
    query,
    s3_requests,
    schema,
    stack,
    streams,
    upkeep,
    views,
)
from keystone_platform.errors import KeystoneError, interruptible, single_errors

EXIT_ERROR = 1
EXIT_INTERRUPTED = 130

app = typer.Typer(
    name="keystone",
    help="Move events from Kafka through Flink routers into an S3 warehouse. Start with `keystone up`.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
)
GROUPS = (
    stack,
    streams,
    schema,
    checkpoints,
    preview,
    producers,
    failover,
    produce,
    gateway,
    query,
    views,
    audit,
    compact,
    backfill,
    upkeep,
    dead_letters,
    s3_requests,
    demo,
    drill,
)
"""In the order of `keystone --help`."""

for group in GROUPS:
    group.register(app)


def main() -> None:
    """Run the command line; errors go to stderr with their mend, and with `--json` to stdout as well; exit status 1."""
    stderr = Console(stderr=True, highlight=False, soft_wrap=True)
    try:
        with interruptible():
            app()
    except KeystoneError as error:
        stderr.print(f"error: {error}", style="red", markup=False)
        if "--json" in sys.argv:
            typer.echo(json.dumps({"errors": [each.as_json() for each in single_errors(error)]}))
        sys.exit(EXIT_ERROR)
    except KeyboardInterrupt:
        sys.exit(EXIT_INTERRUPTED)
