"""`keystone dlq show` and `keystone dlq replay`: events that a route could not take."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from keystone_platform.commands.dead_letter_answers import print_summary, print_verdict, summary_json, verdict_json
from keystone_platform.errors import InvalidSpec, Transient
from keystone_platform.gateways.clock import SystemClock
from keystone_platform.settings import load_settings, streams_folder

if TYPE_CHECKING:
    from keystone_platform.audit.truth import RouteTruth
    from keystone_platform.dead_letters.replay import ReplayVerdict
    from keystone_platform.dead_letters.scan import Progress, Selection
    from keystone_platform.demo.progress import Progress as Line
    from keystone_platform.gateways.kafka import Offsets
    from keystone_platform.gateways.kafka_clusters import KafkaClusters
    from keystone_platform.plan.deployment import Deployment
    from keystone_platform.settings import Settings
    from keystone_platform.spec.fleet import LoadedStream
    from keystone_platform.spec.models import StreamSpec

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}

Stream = Annotated[str, typer.Argument(help="A declared stream.")]
Route = Annotated[str | None, typer.Option(help="Only letters of this route: its name, or `<stream>.<route>`.")]
Reason = Annotated[str | None, typer.Option(metavar="CODE", help="Only of this reason, e.g. wrong_type.")]
Since = Annotated[
    str | None, typer.Option(metavar="TIME", help="Only what died since: 2026-11-01T10:00:00Z, or 30m, 2h, 7d ago.")
]
Last = Annotated[int | None, typer.Option(min=1, help="Only the newest so many letters of the stream.")]
Json = Annotated[bool, typer.Option("--json", help="One JSON document on stdout, for programs.")]


def register(app: typer.Typer) -> None:
    """Add this group's commands to the application."""
    group = typer.Typer(
        name="dlq",
        help="Dead letters: events that a route could not take. `keystone dlq show playback` says which and why.",
        no_args_is_help=True,
        rich_markup_mode="markdown",
    )
    group.command()(show)
    group.command()(replay)
    app.add_typer(group)


def show(
    stream: Stream,
    route: Route = None,
    reason: Reason = None,
    since: Since = None,
    last: Last = None,
    limit: Annotated[int, typer.Option(min=0, max=10_000, help="How many of the newest letters to show.")] = 10,
    payload: Annotated[bool, typer.Option("--payload", help="Show the payloads' beginnings as well.")] = False,
    as_json: Json = False,
) -> None:
    """Count a stream's dead letters by route and reason, and show the newest.

    For example: `keystone dlq show playback --since 2h --payload`. With `--json` the newest letters are whole: payload,
    key and headers as text, or {"base64": …} where they are not UTF-8.
    """
    from keystone_platform.dead_letters.scan import letters
    from keystone_platform.dead_letters.summary import Summary
    from keystone_platform.gateways.kafka_clusters import connect_kafka

    loaded = _stream(stream)
    spec = loaded.spec
    selection = _selection(spec, route, reason, since, last)
    kafka = connect_kafka(load_settings())
    reached = _on_each(kafka, loaded, spec.dead_letter_topic)
    summary = Summary(_on_each(kafka, loaded, spec.topic_name), limit)
    with _progress("dead letters") as progress:
        for topic, offsets in reached.items():
            for batch in letters(kafka.properties, topic, selection.span(offsets), selection, progress):
                summary.add(batch)
    shares = selection.since is None and last is None  # of a part of the letters it would say nothing
    name = " and ".join(reached)
    if as_json:
        typer.echo(json.dumps(summary_json(name, summary, shares), indent=1, ensure_ascii=False))
    else:
        print_summary(name, sum(each.span for each in reached.values()), summary, shares, payload)


def replay(
    stream: Stream,
    route: Route = None,
    reason: Reason = None,
    since: Since = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Count what would be sent, and send nothing.")] = False,
    wait: Annotated[bool, typer.Option("--wait", help="Wait and tell what became of the events.")] = False,
    same_plan: Annotated[
        bool, typer.Option("--same-plan", help="Also letters that died under the plan that runs now.")
    ] = False,
    lost: Annotated[
        bool, typer.Option("--lost", help="Go on although a replay topic lost records: events may come twice.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Give dead letters to their own route again, after a fix; the stream's other routes see nothing of it.

    For example: mend the schema in the stream's YAML, `keystone apply playback.warehouse`, then
    `keystone dlq replay playback --reason wrong_type --wait`. Each event is given once, however often this is run; one
    that dies again is a new letter and can be replayed after the next fix.
    """
    from keystone_platform.control.replay_targets import replayable
    from keystone_platform.dead_letters.replay import Replay, ReplayTarget, together
    from keystone_platform.gateways.kafka_clusters import connect_kafka
    from keystone_platform.gateways.ledger import SqlLedger

    loaded = _stream(stream)
    selection = _selection(loaded.spec, route, reason, since, None)
    settings = load_settings()
    deployed = replayable(
        SqlLedger(settings.ledger_url, create=False), loaded, [selection.route] if selection.route else []
    )
    kafka = connect_kafka(settings)
    reached = _on_each(kafka, loaded, loaded.spec.dead_letter_topic)

    def one(topic: str) -> ReplayVerdict:
        cluster = topic.removesuffix(loaded.spec.dead_letter_topic)  # empty of the primary, else with its dot
        replays = Replay(
            kafka=kafka.properties(topic),
            gateway=kafka,
            stream=stream,
            topic=topic,
            targets={
                name: ReplayTarget(name, f"{cluster}{last.plan.source.replay_topic}", last.plan.digest)
                for name, last in deployed.items()
                if f"{cluster}{last.plan.source.replay_topic}" in last.plan.source.replay_topics
            },
            same_plan=same_plan,
            lost=lost,
        )
        return replays.preview(selection, progress) if dry_run else replays.run(selection, progress)

    with _progress("dead letters") as progress:
        verdict = together([one(topic) for topic in reached])
    ends = _await_ends(settings, deployed, verdict) if wait and not dry_run else {}
    if as_json:
        typer.echo(json.dumps(verdict_json(verdict, ends, dry_run, wait and not dry_run), indent=1))
    else:
        print_verdict(verdict, ends, dry_run)
    if any(end.lost for end in ends.values()):
        raise typer.Exit(1)


def _stream(name: str) -> LoadedStream:
    """Return the declared stream; what is wrong in others' files keeps nobody from it."""
    from keystone_platform.spec.loader import load_streams_leniently

    return load_streams_leniently(streams_folder(os.environ)).stream(name)


def _on_each(kafka: KafkaClusters, loaded: LoadedStream, topic: str) -> dict[str, Offsets]:
    """Return how far a topic of the stream reaches on each cluster; one that is away is told, unless none answers."""
    from keystone_platform.spec.clusters import standby_topic

    standby = loaded.routes[0].clusters[1]
    topics = [topic, standby_topic(standby, topic)] if standby else [topic]
    found = {}
    for each in topics:
        try:
            found[each] = kafka.offsets(each)
        except Transient as error:
            if each == topics[-1] and not found:
                raise
            typer.echo(f"{each} is left out: {error}", err=True)
    return found


def _selection(
    spec: StreamSpec, route: str | None, reason: str | None, since: str | None, last: int | None
) -> Selection:
    from keystone_platform.dead_letters.scan import Selection
    from keystone_platform.spec.models import route_id

    stream = spec.stream
    whole = None if route is None else route if route.startswith(f"{stream}.") else f"{stream}.{route}"
    declared = [route_id(spec, each) for each in spec.routes]
    if whole is not None and whole not in declared:  # its letters may be there still
        typer.echo(f"{whole} is not declared; {stream} has {', '.join(declared)}", err=True)
    return Selection(route=whole, code=reason, since=None if since is None else _time(since), last=last)


def _time(text: str) -> datetime:
    ago = re.fullmatch(r"(\d{1,9})([smhd])", text)
    try:
        if ago:
            return SystemClock().now() - timedelta(seconds=int(ago[1]) * _UNITS[ago[2]])
        time = datetime.fromisoformat(text)
    except (ValueError, OverflowError) as error:
        message = f"{text!r} is no time"
        raise InvalidSpec(message, mend="Write 2026-11-01T10:00:00Z, or how long ago: 30m, 2h, 7d.") from error
    return time if time.tzinfo else time.replace(tzinfo=UTC)


@contextmanager
def _progress(what: str) -> Iterator[Progress]:
    """Tell on stderr how far a long reading has come."""
    from keystone_platform.demo.progress import PLAIN_EVERY_S
    from keystone_platform.demo.progress import Progress as Line

    clock = SystemClock()
    started = clock.now().timestamp()
    with Line(Console(stderr=True), clock) as line:

        def tell(read: int, total: int) -> None:
            if clock.now().timestamp() - started >= PLAIN_EVERY_S:
                line.show(f"{read:,} of {total:,} {what} read")

        yield tell


def _await_ends(
    settings: Settings, deployed: Mapping[str, Deployment], verdict: ReplayVerdict
) -> dict[str, RouteTruth]:
    """Return by route what became of the events that were sent; waits for them."""
    from keystone_platform.dead_letters.ends import await_ends
    from keystone_platform.demo.progress import Progress as Line

    ends = {}
    clock = SystemClock()
    for route, counts in verdict.routes.items():
        if counts.sent:
            plan = deployed[route].plan
            begin = {topic: verdict.begin[topic] for topic in plan.source.replay_topics if topic in verdict.begin}
            with Line(Console(stderr=True), clock) as line:
                tell = partial(_tell_missing, line, route)
                ends[route] = await_ends(settings, plan, begin, clock, tell)
    return ends


def _tell_missing(line: Line, route: str, missing: int) -> None:
    line.show(f"{route}: {missing:,} events on their way")
