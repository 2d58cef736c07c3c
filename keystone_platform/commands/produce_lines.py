"""`keystone produce` of files and stdin."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import typer
from rich.console import Console

from keystone_platform.commands.producing import FLUSH_S, dropped_json, lost_text, new_producer
from keystone_platform.demo.progress import Progress
from keystone_platform.errors import InvalidSpec
from keystone_platform.gateways.clock import SystemClock
from keystone_platform.ndjson.lines import STDIN
from keystone_platform.ndjson.pace import Pace
from keystone_platform.ndjson.progress_file import ProgressFile
from keystone_platform.ndjson.reading import Reading
from keystone_platform.ndjson.sending import LineSender
from keystone_platform.ndjson.stop import Stop

if TYPE_CHECKING:
    from keystone_platform.producer import Counts, KeystoneProducer
    from keystone_platform.settings import Settings
    from keystone_platform.spec.models import StreamSpec

TOLD_LINES = 20
"""Bad lines that are told; all are counted."""

EXIT_INTERRUPTED = 130


@dataclass(frozen=True)
class Wanted:
    """What the command line says of a run."""

    key: str | None
    time: str | None
    validate: Literal["off", "sample", "all"]
    strict: bool
    resume: Path | None
    rate: float | None


def run(settings: Settings, spec: StreamSpec, files: Sequence[str], wanted: Wanted, *, as_json: bool) -> None:
    """Send the files, tell how it goes and what became of them; raises typer.Exit with 1 or 130 unless all arrived."""
    from keystone_platform.synthetic.shapes import Steady

    if spec.format != "json":
        message = f"{spec.stream} holds {spec.format}, and lines are JSON"
        raise InvalidSpec(message, mend="Send it with a client that encodes it.")
    if wanted.resume and STDIN in files:
        message = "--resume takes files: of stdin nobody can tell where it was"
        raise InvalidSpec(message, mend="Name the file.")
    if STDIN in files and sys.stdin.isatty():
        typer.echo("reading lines from the terminal; Ctrl-D ends", err=True)
    clock, stderr = SystemClock(), Console(stderr=True, highlight=False, soft_wrap=True)
    began = clock.now().timestamp()
    progress_file = ProgressFile(wanted.resume, spec.stream) if wanted.resume else None
    bad = _Told(stderr)
    with new_producer(settings, spec) as producer, Stop() as stop, Progress(stderr, clock) as line:
        sender: LineSender

        def look() -> None:
            line.show(_progress(sender, producer, clock.now().timestamp() - began))

        sender = LineSender(
            producer,
            spec.stream,
            _reading(spec, wanted),
            pace=Pace(producer, clock, Steady(wanted.rate) if wanted.rate else None, stop, look),
            stop=stop,
            clock=clock,
            tell=bad.tell,
            progress=progress_file,
            strict=wanted.strict,
        )
        sender.send(files, FLUSH_S)
        counts = producer.close(FLUSH_S)
        look()
    bad.tell_rest()
    answer = _answer(spec.stream, sender, counts, clock.now().timestamp() - began, is_interrupted=stop.asked)
    typer.echo(json.dumps(answer) if as_json else _text(sender, counts, wanted, is_interrupted=stop.asked))
    if stop.asked:
        raise typer.Exit(EXIT_INTERRUPTED)
    if sender.failure or counts.dropped or any(each.bad or not each.is_ended for each in sender.results):
        raise typer.Exit(1)


def _reading(spec: StreamSpec, wanted: Wanted) -> Reading:
    from keystone_platform.producer.validation import validator
    from keystone_platform.schemas.document import Contract

    check = None if wanted.validate == "off" else validator(Contract.of(spec).document(), wanted.validate)
    return Reading(wanted.key, wanted.time, needs_object=spec.fields is not None, validate=check)


class _Told:
    """Tells the first bad lines and counts the rest."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._number = 0

    def tell(self, text: str) -> None:
        self._number += 1
        if self._number <= TOLD_LINES:
            self._console.print(text, style="yellow", markup=False)

    def tell_rest(self) -> None:
        if self._number > TOLD_LINES:
            self._console.print(f"and {self._number - TOLD_LINES:,} more like these", style="yellow")


def _progress(sender: LineSender, producer: KeystoneProducer, seconds: float) -> str:
    counts = producer.counts()
    rate = counts.acknowledged / max(seconds, 0.001)
    now = sender.results[-1] if sender.results else None
    place = (
        f"{now.file}: line {now.read.line:,}, {now.read.byte:,} bytes{_share(now.file, now.read.byte)}; " if now else ""
    )
    bad = sum(sum(each.bad.values()) for each in sender.results)
    return f"{place}{counts.acknowledged:,} acknowledged ({rate:,.0f}/s){f', {bad:,} bad' if bad else ''}"


def _share(name: str, byte: int) -> str:
    if name == STDIN or name.endswith(".gz"):
        return ""
    size = Path(name).stat().st_size
    return f" ({byte / size:.0%})" if size else ""


def _answer(stream: str, sender: LineSender, counts: Counts, seconds: float, *, is_interrupted: bool) -> dict[str, Any]:
    bad: dict[str, int] = {}
    for each in sender.results:
        for reason, lines in each.bad.items():
            bad[reason] = bad.get(reason, 0) + lines
    return {
        "stream": stream,
        "attempted": counts.attempted,
        "acknowledged": counts.acknowledged,
        "dropped": dropped_json(counts),
        "bad": bad,
        "blank": sum(each.blank for each in sender.results),
        "seconds": round(seconds, 3),
        "interrupted": is_interrupted,
        "failure": sender.failure,
        "files": [{**asdict(each), "bad": dict(each.bad)} for each in sender.results],
    }


def _text(sender: LineSender, counts: Counts, wanted: Wanted, *, is_interrupted: bool) -> str:
    told = [f"attempted {counts.attempted:,}, acknowledged {counts.acknowledged:,}{lost_text(counts)}"]
    for each in sender.results:
        bad = ", ".join(f"{reason} {lines:,}" for reason, lines in sorted(each.bad.items()))
        is_new = each.acknowledged.line > each.begin.line
        first = f"lines {each.begin.line + 1:,} to {each.acknowledged.line:,}" if is_new else "nothing"
        lines = [f"{first}, up to byte {each.acknowledged.byte:,}"]
        lines += [f"bad: {bad}"] if bad else []
        lines += [f"blank: {each.blank:,}"] if each.blank else []
        if each.resumed_double:
            lines.append(f"at most {each.resumed_double:,} of them are there twice, from the run before")
        if each.switched_double:
            lines.append(f"at most {each.switched_double:,} of them are there twice, on two clusters, under one guid")
        if not each.is_ended:
            again = f"at most {each.maybe_double:,} lines behind it would be doubled" if each.maybe_double else "exact"
            lines.append(f"not sent to its end; going on from there: {again}")
        told.append(f"{each.file}: {'; '.join(lines)}")
    if sender.failure:
        told.append(f"stopped: {sender.failure}")
    if (is_interrupted or sender.failure) and wanted.resume:
        told.append(f"To go on: the same command, with --resume {wanted.resume}")
    return "\n".join(told)
