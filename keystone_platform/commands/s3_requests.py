"""`keystone s3-requests`: what the stack asks of its object store, and what that would cost on S3."""

from __future__ import annotations

import json
import os
from datetime import timedelta
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from keystone_platform.commands.output import stdout_console
from keystone_platform.errors import Terminal
from keystone_platform.gateways.clock import SystemClock
from keystone_platform.settings import home_folder, load_settings
from keystone_platform.stack import s3_requests as log
from keystone_platform.stack.home import Home


def register(app: typer.Typer) -> None:
    """Add this group's commands to the application."""
    app.command("s3-requests")(s3_requests)


def s3_requests(
    seconds: Annotated[int, typer.Option(min=1, max=3600, help="How long to count.")] = 60,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object on stdout.")] = False,
) -> None:
    """Count the requests that reach the embedded S3 from now on, by what they do and what they are about.

    Says beside it how many checkpoints and commits they made, and what they would cost on S3 if they went on for a
    month (docs/cost.md).

    Example: `keystone produce playback --synthetic --count 60000 --rate 1000` in one terminal, `keystone s3-requests`
    in another.
    """
    home = Home(home_folder(os.environ))
    file = home.log(log.LOG_NAME)
    if not file.is_file():
        message = f"no log of requests at {file}"
        raise Terminal(
            message, mend="Only the embedded stack has one: `keystone up`; ask S3 itself for its access logs."
        )
    clock = SystemClock()
    begin = clock.now()
    with Console(stderr=True).status(f"counting for {seconds} s …"):
        clock.sleep(seconds)
    requests = log.S3RequestLog(file, load_settings()).between(begin, begin + timedelta(seconds=seconds))
    counts = log.count(requests)
    checkpoints, commits = log.checkpoints_written(requests), log.commits_written(requests)
    dollars = log.dollars_a_month(counts, seconds)
    if as_json:
        rows = [
            {"kind": kind, "operation": done, "requests": number} for (kind, done), number in sorted(counts.items())
        ]
        document = {"seconds": seconds, "checkpoints": checkpoints, "commits": commits, "requests": rows}
        typer.echo(json.dumps({**document, "dollars_a_month": round(dollars, 4)}, indent=1))
        return
    table = Table(box=None, pad_edge=False)
    table.add_column("")
    for operation in log.Operation:
        table.add_column(operation, justify="right")
    for kind in log.Kind:
        table.add_row(kind, *(f"{counts[kind, operation]:,}" for operation in log.Operation))
    console = stdout_console()
    console.print(table)
    console.print(f"{checkpoints} checkpoints, {commits} commits; on S3 ${dollars:,.2f} a month at this rate")
