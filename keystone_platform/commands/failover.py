"""`keystone failover`: which Kafka cluster producers use, and an order that says which."""

from __future__ import annotations

import getpass
import os
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from keystone_platform.commands.failover_answers import show_status, show_written
from keystone_platform.errors import InvalidSpec, Transient
from keystone_platform.gateways.clock import SystemClock
from keystone_platform.settings import STREAMS_VARIABLE, streams_folder

if TYPE_CHECKING:
    from keystone_platform.failover.order_topics import Answer
    from keystone_platform.producer.orders import Orders
    from keystone_platform.spec.fleet import Fleet

Cluster = Annotated[str, typer.Argument(metavar="CLUSTER", help="One of clusters.yaml.")]
SomeStreams = Annotated[
    list[str] | None, typer.Option("--stream", metavar="NAME", help="A stream that lives there; repeatable.")
]
All = Annotated[bool, typer.Option("--all", help="Every stream.")]
Why = Annotated[str, typer.Option("--why", metavar="TEXT", help="For those who look at it later.")]
File = Annotated[
    Path | None,
    typer.Option("--file", metavar="FILE", help="Write it into this file too: the `orders` of KeystoneProducer."),
]
Streams = Annotated[
    Path | None,
    typer.Option(
        "--streams", metavar="DIR", help=f"Folder of the stream YAMLs; default ${STREAMS_VARIABLE}, else ./streams."
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object to stdout.")]


def register(app: typer.Typer) -> None:
    """Add this group's commands to the application."""
    group = typer.Typer(
        name="failover",
        help="Which Kafka cluster producers send to. They switch by themselves when one is sick; an order wins over "
        "that. `keystone failover status` shows both.",
        no_args_is_help=True,
        rich_markup_mode="markdown",
    )
    group.command()(status)
    group.command()(to)
    group.command()(auto)
    app.add_typer(group)


def status(streams: Streams = None, as_json: Json = False) -> None:
    """Show each cluster, each stream's order, and how many producers use which cluster and why. Touches nothing.

    Producers tell it with their counts: when they switch, and once a minute. Why: **preferred**, it is the stream's
    primary; **sick**, the primary is, or was until lately; **order**. Exit status 1 when no cluster answers.

    Example: `keystone failover status --json`
    """
    from keystone_platform.failover.order_topics import OrderTopics
    from keystone_platform.failover.producers import told_lately
    from keystone_platform.failover.report import stream_lines

    fleet = _fleet(streams)
    answers = OrderTopics(fleet.clusters.declared).read()
    orders = _merged(answers)
    awake = {name for name, answer in answers.items() if answer.value is not None}
    told = told_lately(fleet.clusters, awake, SystemClock().now())
    lines = stream_lines([stream.spec for stream in fleet.streams], fleet.clusters, orders, told)
    show_status(fleet.clusters, answers, lines, as_json=as_json)
    if not awake:
        raise typer.Exit(1)


def to(
    cluster: Cluster,
    stream: SomeStreams = None,
    every: All = False,
    why: Why = "",
    file: File = None,
    streams: Streams = None,
    as_json: Json = False,
) -> None:
    """Order producers to send to this cluster, whatever they think of it, until `keystone failover auto`.

    The order is written to the topic `keystone.failover` of every cluster that answers; producers that were given
    several clusters follow within some seconds. Of a stream's own order and one for all, the newer holds. Exit status 1
    when neither a cluster nor the file took it.

    Example: `keystone failover to standby --all --why "kernel upgrade of the primary"`
    """
    fleet = _fleet(streams)
    fleet.clusters.cluster(cluster)
    chosen = _chosen(fleet, stream, every)
    for name in chosen if not every else []:
        lives = fleet.clusters.names(fleet.stream(name).spec)
        if cluster not in lives:
            message = f"the stream {name} does not live on {cluster}"
            known = ", ".join(each for each in lives if each)
            raise InvalidSpec(message, mend=f"Its clusters: {known}. Its YAML's `clusters:` says so, or clusters.yaml.")
    _order(fleet, chosen, cluster, why, file, as_json=as_json)


def auto(
    stream: SomeStreams = None,
    every: All = False,
    why: Why = "",
    file: File = None,
    streams: Streams = None,
    as_json: Json = False,
) -> None:
    """Take orders back: producers use what they think best. That is the primary, if it was well for long enough.

    `--all` takes back every order, those of single streams too.

    Example: `keystone failover auto --all`
    """
    fleet = _fleet(streams)
    _order(fleet, _chosen(fleet, stream, every), None, why, file, as_json=as_json)


def _order(fleet: Fleet, chosen: list[str], cluster: str | None, why: str, file: Path | None, *, as_json: bool) -> None:
    from keystone_platform.failover.order_file import known_in, write_orders
    from keystone_platform.failover.order_topics import OrderTopics
    from keystone_platform.producer.orders import Order, Orders

    topics = OrderTopics(fleet.clusters.declared)
    known = _merged(topics.read()).with_newer(known_in(file) if file else Orders())
    newest = max((order.at for order in known.by_stream.values()), default=0)
    now = int(SystemClock().now().timestamp() * 1000)
    order = Order(cluster, max(now, newest + 1), f"{getpass.getuser()}@{socket.gethostname()}", why)
    orders = Orders(dict.fromkeys(chosen, order))
    written = topics.write(orders)
    if file:
        write_orders(file, known.with_newer(orders))
    is_lost = file is None and all(answer.value is None for answer in written.values())
    if as_json or not is_lost:
        show_written(orders, written, file, as_json=as_json)
    if is_lost:
        told = "; ".join(f"{name}: {answer.error}" for name, answer in written.items())
        message = f"no cluster took the order: {told}"
        raise Transient(message, mend="With --file it is written into a file, for producers that read one.")


def _fleet(streams: Path | None) -> Fleet:
    from keystone_platform.spec.loader import load_streams

    fleet = load_streams(streams or streams_folder(os.environ)).checked()
    if fleet.clusters.file is None:
        message = "there is one Kafka cluster, and none to fail over to"
        raise InvalidSpec(message, mend="Declare two in clusters.yaml beside the streams' folder: docs/failover.md.")
    return fleet


def _chosen(fleet: Fleet, streams: list[str] | None, every: bool) -> list[str]:
    from keystone_platform.producer.orders import EVERY_STREAM

    if bool(streams) == every:
        message = "an order is for some streams or for all"
        raise InvalidSpec(message, mend="Name them with --stream NAME, or say --all.")
    return [EVERY_STREAM] if every else [fleet.stream(name).spec.stream for name in streams or ()]


def _merged(answers: Mapping[str, Answer[Orders]]) -> Orders:
    from keystone_platform.producer.orders import Orders

    found = Orders()
    for answer in answers.values():
        found = found.with_newer(answer.value or Orders())
    return found
