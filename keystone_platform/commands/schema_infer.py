"""`keystone schema infer`: a stream file drafted from events that there are."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from keystone_platform.settings import load_settings

if TYPE_CHECKING:
    from collections.abc import Iterable

Payloads = Iterator[tuple[str, bytes | None]]
"""Each with its place."""

TELL_EVERY = 1_000
"""Events between two looks at the clock."""


def infer(
    file: Annotated[
        Path | None,
        typer.Argument(metavar="[FILE]", help="NDJSON, an event a line; `-` reads stdin. Leave it out with --topic."),
    ] = None,
    topic: Annotated[str | None, typer.Option(metavar="TOPIC", help="Read a Kafka topic's newest events.")] = None,
    last: Annotated[int, typer.Option(min=1, help="How many events of the topic, of each partition a share.")] = 10_000,
    most: Annotated[
        int | None, typer.Option("--max-events", min=1, help="Stop after so many lines of a file; default: all.")
    ] = None,
    stream: Annotated[str, typer.Option(metavar="NAME", help="Name of the stream.")] = "my_stream",
    owner: Annotated[str, typer.Option(metavar="OWNER", help="`team:NAME` or an e-mail address.")] = "team:change_me",
    table: Annotated[str | None, typer.Option(metavar="TABLE", help="Default: events.NAME.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document to stdout, the YAML in it.")] = False,
) -> None:
    """Draft a stream's YAML from real events: types by evidence, with shares of presence, nulls and conflicts beside.

    Lines that are no JSON object are counted with their place. Exit status 1 when there was no event at all.

    Example: `keystone schema infer --topic playback --stream playback > streams/playback.yaml`
    """
    from keystone_platform.demo.progress import Progress
    from keystone_platform.errors import InvalidSpec
    from keystone_platform.gateways.clock import SystemClock
    from keystone_platform.schemas.draft import draft
    from keystone_platform.schemas.evidence import Evidence

    if (file is None) is (topic is None):
        message = "one of FILE and --topic says where the events are"
        raise InvalidSpec(message, mend="Name a file, `-` for stdin, or a topic.")
    _check_names(stream, owner, table or f"events.{stream}")
    source, payloads = (_topic(topic, last)) if topic else _file(file or Path("-"), most)
    evidence, stderr = Evidence(), Console(stderr=True, highlight=False, soft_wrap=True)
    with Progress(stderr, SystemClock()) as progress:
        for number, (place, payload) in enumerate(payloads, 1):
            evidence.add(payload, place)
            if number % TELL_EVERY == 0:
                progress.show(f"{number:,} events read")
    if not evidence.events:
        message = f"{source} holds no event that is a JSON object ({evidence.bad.total():,} looked at)"
        raise InvalidSpec(message, mend="Expected is one JSON object a line.")
    made = draft(evidence, stream=stream, owner=owner, table=table or f"events.{stream}", source=source)
    typer.echo(json.dumps(made.as_json(), ensure_ascii=False, indent=2) if as_json else made.yaml(), nl=as_json)
    for place, reason in evidence.bad_places:
        stderr.print(f"{place}: {reason}", style="yellow", markup=False)
    if evidence.bad.total():
        shown = ", ".join(f"{reason} {count:,}" for reason, count in evidence.bad.most_common())
        stderr.print(f"no events: {shown}", style="yellow", markup=False)


def _check_names(stream: str, owner: str, table: str) -> None:
    """Refuse names that the loader would refuse in the draft."""
    from pydantic import ValidationError

    from keystone_platform.errors import InvalidSpec
    from keystone_platform.spec.models import StreamSpec
    from keystone_platform.spec.wording import sentence

    routes = [{"sink": {"warehouse": {"table": table}}}]
    try:
        StreamSpec.model_validate({"stream": stream, "owner": owner, "routes": routes})
    except ValidationError as error:
        detail = error.errors(include_url=False)[0]
        what, mend = sentence(detail)
        raise InvalidSpec(what, field=".".join(map(str, detail["loc"])), mend=mend) from error


def _file(file: Path, most: int | None) -> tuple[str, Payloads]:
    from keystone_platform.errors import InvalidSpec

    name = "stdin" if str(file) == "-" else str(file)
    if name == "stdin":
        return name, _lines(name, sys.stdin.buffer, most)
    try:
        lines = file.open("rb")
    except OSError as error:
        message = f"can't be read: {error.strerror}"
        raise InvalidSpec(message, mend="Name a file with one JSON object a line.", file=name) from error
    return name, _lines(name, lines, most)


def _lines(name: str, lines: Iterable[bytes], most: int | None) -> Payloads:
    read = 0
    for number, line in enumerate(lines, 1):
        payload = line.rstrip(b"\r\n")
        if not payload.strip():
            continue  # an empty line is no event; a file may end in one
        yield f"{name}:{number}", payload
        read += 1
        if read == most:
            return


def _topic(topic: str, last: int) -> tuple[str, Payloads]:
    from keystone_platform.errors import InvalidSpec
    from keystone_platform.gateways.kafka_clusters import connect_kafka
    from keystone_platform.preview.newest import newest_events

    kafka = connect_kafka(load_settings())
    events = newest_events(kafka, kafka.properties(topic), topic, last)
    if events.missing:
        message = f"there is no topic {topic}"
        raise InvalidSpec(message, mend="Name one that has events.")
    found = ((events.place_of(record), record.value) for records in events.batches for record in records)
    return topic, found
