"""How commands tell what became of routes."""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING, Any

import typer
from rich.markup import escape

from keystone_platform.commands.output import stdout_console, table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from keystone_platform.control.goal import Verdict

_MANY = 5
"""So many verdicts are summed up below their table."""


def tell_verdicts(verdicts: Sequence[Verdict], as_json: bool) -> None:
    """Print the verdicts; exit status 1 if a route is not as asked for."""
    if as_json:
        typer.echo(json.dumps([_as_json(verdict) for verdict in verdicts], indent=2))
    else:
        _show(verdicts)
    if any(verdict.error or verdict.held for verdict in verdicts):
        raise typer.Exit(1)


def _as_json(verdict: Verdict) -> dict[str, Any]:
    deployment = verdict.deployment
    return {
        "route": verdict.route,
        "ok": verdict.ok,
        "action": verdict.action.act.value,
        "message": verdict.message,
        "held": verdict.held or None,
        "epoch": deployment.epoch if deployment else None,
        "job_id": deployment.job_id if deployment else None,
        "restored_from": deployment.restore_from if deployment else None,
        "plan_digest": deployment.plan.digest if deployment else None,
    }


def _show(verdicts: Sequence[Verdict]) -> None:
    shown, words = table("route", "", "action", "epoch", "job"), Counter(map(_word, verdicts))
    for verdict in verdicts:
        deployment, word = verdict.deployment, _word(verdict)
        shown.add_row(
            verdict.route,
            f"[{_COLOURS[word]}]{word}[/]",
            escape(verdict.message),
            str(deployment.epoch) if deployment else "",
            deployment.job_id if deployment else "",
        )
    console = stdout_console()
    console.print(shown)
    if len(verdicts) > _MANY:
        console.print(", ".join(f"{words[word]} {word}" for word in _COLOURS if words[word]))


_COLOURS = {"ok": "green", "held": "yellow", "failed": "red"}


def _word(verdict: Verdict) -> str:
    return "failed" if verdict.error else "held" if verdict.held else "ok"
