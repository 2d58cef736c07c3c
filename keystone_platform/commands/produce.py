"""The command `produce`: sends lines of files, or events that are made up, and accounts for each."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from keystone_platform.settings import STREAMS_VARIABLE, load_settings, streams_folder

if TYPE_CHECKING:
    from collections.abc import Sequence

    from keystone_platform.ndjson.pace import Shape
    from keystone_platform.synthetic.events import Mix

_SYNTHETIC = "Made-up events"
_OF_MADE_UP = ("count", "seed", "size", "max_size", "broken", "late", "shape", "day", "expect", "to")
_OF_LINES = ("files", "time", "validate", "strict", "resume")


def register(app: typer.Typer) -> None:
    """Add this group's command to the application."""
    app.command()(produce)


def produce(
    context: typer.Context,
    stream: Annotated[str, typer.Argument(metavar="STREAM", help="A declared stream.")],
    files: Annotated[
        list[str] | None,
        typer.Argument(metavar="[FILE]...", help="One JSON event a line, also as .gz; - or none: stdin."),
    ] = None,
    key: Annotated[
        str | None, typer.Option(metavar="FIELD", help="Its value as text is the record's key; dotted when nested.")
    ] = None,
    rate: Annotated[float | None, typer.Option(min=0.1, help="Events a second; default: as fast as it goes.")] = None,
    time: Annotated[
        str | None,
        typer.Option(metavar="FIELD", help="Says when it happened, as 2026-03-01T12:00:00Z; default: now."),
    ] = None,
    validate: Annotated[
        Literal["off", "sample", "all"],
        typer.Option(help="Check lines against the declared schema; sample: one in a hundred."),
    ] = "off",
    strict: Annotated[bool, typer.Option("--strict", help="Stop before the first bad line.")] = False,
    resume: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Keep there how far each file was sent, and go on from there next time."),
    ] = None,
    synthetic: Annotated[bool, typer.Option("--synthetic", help="Make events up.", rich_help_panel=_SYNTHETIC)] = False,
    count: Annotated[int, typer.Option(min=1, help="How many.", rich_help_panel=_SYNTHETIC)] = 1_000,
    seed: Annotated[
        int | None,
        typer.Option(
            help="The same one makes the same events; default: another each time.", rich_help_panel=_SYNTHETIC
        ),
    ] = None,
    size: Annotated[
        int, typer.Option(min=1, max=10_485_760, help="Bytes of a payload, on average.", rich_help_panel=_SYNTHETIC)
    ] = 750,
    max_size: Annotated[
        int | None,
        typer.Option(
            min=1, max=10_485_760, help="Bytes of the largest; default: all alike.", rich_help_panel=_SYNTHETIC
        ),
    ] = None,
    broken: Annotated[
        float, typer.Option(min=0, max=1, help="Share that no router can decode.", rich_help_panel=_SYNTHETIC)
    ] = 0.001,
    late: Annotated[
        float, typer.Option(min=0, max=1, help="Share that happened in the hour before.", rich_help_panel=_SYNTHETIC)
    ] = 0.2,
    shape: Annotated[
        Literal["steady", "wave", "spike"],
        typer.Option(
            help="With --rate. wave: a day, 20 % to 180 % of it. spike: ten times it, 5 s a minute.",
            rich_help_panel=_SYNTHETIC,
        ),
    ] = "steady",
    day: Annotated[
        float, typer.Option(min=1, metavar="SECONDS", help="How long the wave's day takes.", rich_help_panel=_SYNTHETIC)
    ] = 86_400.0,
    expect: Annotated[
        bool,
        typer.Option(
            "--expect",
            help="Send nothing: compare topic and tables with what --seed, --count, --size, --max-size, --broken and"
            " --late say must be there.",
            rich_help_panel=_SYNTHETIC,
        ),
    ] = False,
    to: Annotated[
        str | None,
        typer.Option(
            "--to",
            metavar="FILE",
            help="Write lines there (- stdout) instead of sending; needs no server.",
            rich_help_panel=_SYNTHETIC,
        ),
    ] = None,
    streams: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help=f"Folder of the stream YAMLs; default ${STREAMS_VARIABLE}, else ./streams."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="The result as one JSON object on stdout.")] = False,
) -> None:
    """Send files of one JSON event a line, stdin, or made-up events to a stream's topic, and account for each.

    Bad lines are counted and told as `file:line: reason`; the rest goes. Ctrl-C waits for what is on its way and tells
    where it was. With `--resume` a run that was killed goes on where Kafka's acknowledgements ended: each line arrives
    at least once, and how many may be there twice is told. Exit status 1 unless all of it arrived.

    Examples: `keystone produce playback events.ndjson more.ndjson.gz --key user_id --resume play.progress`

    `tail -F app.log | keystone produce playback --validate all`

    `keystone produce playback --synthetic --count 100000 --seed 7 --rate 2000 --shape wave --day 600`

    `keystone produce playback --synthetic --count 100000 --seed 7 --expect`
    """
    from keystone_platform.commands import produce_lines, produce_synthetic
    from keystone_platform.errors import InvalidSpec
    from keystone_platform.spec.loader import load_streams

    spec = load_streams(streams or streams_folder(os.environ)).stream(stream).spec
    if not synthetic:
        if given := _given(context, _OF_MADE_UP):
            message = f"{', '.join(given)}: about made-up events"
            raise InvalidSpec(message, mend="Add --synthetic.")
        wanted = produce_lines.Wanted(key, time, validate, strict=strict, resume=resume, rate=rate)
        produce_lines.run(load_settings(), spec, files or ["-"], wanted, as_json=as_json)
        return
    if given := _given(context, _OF_LINES):
        message = f"{', '.join(given)}: not about made-up events"
        raise InvalidSpec(message, mend="Leave that out, or leave out --synthetic.")
    mix = _mix(seed, expect=expect, broken=broken, late=late, size=size, max_size=max_size)
    if to is not None:
        produce_synthetic.write(spec, mix, count, to)
    elif expect:
        produce_synthetic.check(
            load_settings(), streams or streams_folder(os.environ), spec, mix, count, as_json=as_json
        )
    else:
        shaped = _shape(shape, rate, day)
        produce_synthetic.run(load_settings(), spec, mix, count, key=key, shape=shaped, as_json=as_json)


def _given(context: typer.Context, names: Sequence[str]) -> list[str]:
    """Return which of these parameters the command line names, as it names them."""
    sources = {name: context.get_parameter_source(name) for name in names}
    given = [name for name, source in sources.items() if source is not None and source.name == "COMMANDLINE"]
    return [name if name == "files" else f"--{name.replace('_', '-')}" for name in given]


def _mix(seed: int | None, *, expect: bool, broken: float, late: float, size: int, max_size: int | None) -> Mix:
    from keystone_platform.errors import InvalidSpec
    from keystone_platform.gateways.clock import SystemClock
    from keystone_platform.synthetic.events import Mix

    if seed is None and expect:
        message = "--expect has to know the --seed that the events were made with"
        raise InvalidSpec(message, mend="`keystone produce --synthetic` tells it.")
    if max_size is not None and max_size < size:
        message = f"--max-size {max_size} is less than --size {size}"
        raise InvalidSpec(message, mend="Name a larger one.")
    chosen = int(SystemClock().now().timestamp()) if seed is None else seed
    return Mix(seed=chosen, broken=broken, late=late, size_bytes=size, max_bytes=max_size or 0)


def _shape(shape: str, rate: float | None, day: float) -> Shape | None:
    from keystone_platform.errors import InvalidSpec
    from keystone_platform.synthetic.shapes import Spike, Steady, Wave

    if rate is None:
        if shape != "steady":
            message = f"--shape {shape} is a shape of a rate"
            raise InvalidSpec(message, mend="Say which: --rate EVENTS_A_SECOND.")
        return None
    shapes: dict[str, Shape] = {"steady": Steady(rate), "wave": Wave(rate, day), "spike": Spike(rate)}
    return shapes[shape]
