"""The command `gateway`: takes CloudEvents over HTTP and sends them to their streams."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from keystone_platform.settings import STREAMS_VARIABLE, load_settings, streams_folder

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from keystone_platform.http_gateway.server import Place
    from keystone_platform.producer import Counts, KeystoneProducer, Terms
    from keystone_platform.producer.validation import Check
    from keystone_platform.spec.clusters import Clusters
    from keystone_platform.spec.models import StreamSpec

APP = "keystone-gateway"
"""The service that the producer's own counts are told under; an event keeps its sender's source."""

LINGER_MS = 2
"""Shorter than the producer's: somebody waits for each event. What comes together still goes together."""


def register(app: typer.Typer) -> None:
    """Add this group's command to the application."""
    app.command()(gateway)


def gateway(
    host: Annotated[str, typer.Option(help="Address to listen on; 0.0.0.0 for every network.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0: any free one, told at the start.")] = 8080,
    token: Annotated[
        str | None,
        typer.Option(metavar="REFERENCE", help="Ask for this bearer token: env:NAME or file:/PATH."),
    ] = None,
    tls_certificate: Annotated[
        Path | None, typer.Option(metavar="FILE", help="PEM, the whole chain; HTTPS, with --tls-key.")
    ] = None,
    tls_key: Annotated[Path | None, typer.Option(metavar="FILE", help="PEM.")] = None,
    validate: Annotated[
        Literal["off", "sample", "all"],
        typer.Option(help="Check payloads against the declared schemas: a misfit is answered 422."),
    ] = "off",
    ack_timeout: Annotated[
        float, typer.Option(min=0.5, metavar="SECONDS", help="How long a request waits for Kafka until it is told 503.")
    ] = 10.0,
    buffer_mb: Annotated[
        int, typer.Option(min=16, metavar="MB", help="Memory for events on their way; full, requests are told 429.")
    ] = 256,
    stop_within: Annotated[
        float, typer.Option(min=1, metavar="SECONDS", help="How long an orderly stop may take.")
    ] = 20.0,
    terms: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="The declared streams as `keystone producers` wrote them, instead of YAMLs."),
    ] = None,
    streams: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help=f"Folder of the stream YAMLs; default ${STREAMS_VARIABLE}, else ./streams."),
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="One JSON document on stdout when it listens, and one when it has ended.")
    ] = False,
) -> None:
    r"""Take CloudEvents over HTTP, structured, binary or batched, and answer when Kafka has them.

    `POST /streams/STREAM`, or `POST /` where an event's type is the stream. An event keeps its id, source, type and
    time. 200: Kafka has all of it. 4xx: never send it like this again. 429, 503: send it again after `Retry-After`.
    `/healthz`, `/readyz`, `/metrics`. SIGTERM or Ctrl-C: takes no more, answers what has begun, flushes, tells the
    counts; exit status 1 if an event that it held did not reach Kafka. docs/ways-in.md has every answer.

    Example: `keystone gateway --port 8080 --token env:GATEWAY_TOKEN`, then

    `curl localhost:8080/streams/playback -H "authorization: Bearer $GATEWAY_TOKEN" -H 'ce-specversion: 1.0'
    -H 'ce-id: 1' -H 'ce-source: laptop/curl' -H 'ce-type: playback' -H 'content-type: application/json'
    -d '{"user_id": 1, "country": "US", "duration_ms": 5000}'`
    """
    from keystone_platform.errors import InvalidSpec
    from keystone_platform.gateways.kafka_clusters import declared_clusters, sending_properties
    from keystone_platform.http_gateway.access import Bearer
    from keystone_platform.http_gateway.app import Bounds, Gateway
    from keystone_platform.http_gateway.server import Place, bind, serve
    from keystone_platform.producer import KeystoneProducer, ProducerSettings
    from keystone_platform.schemas.sent import declared_check

    if (tls_certificate is None) != (tls_key is None):
        message = "--tls-certificate and --tls-key belong together"
        raise InvalidSpec(message, mend="Name both, or none for plain HTTP.")
    place = Place(host, port, *(str(each) if each else None for each in (tls_certificate, tls_key)))
    bearer, settings = Bearer(token) if token else None, load_settings()
    clusters = declared_clusters(settings)
    known, declared = _known(terms, streams, validate)
    buffer_bytes = buffer_mb * 1024 * 1024
    with bind(place) as listening:
        timeout = {"delivery.timeout.ms": str(round(ack_timeout * 1000))}
        producer = KeystoneProducer(
            sending_properties(clusters, lambda own: {"linger.ms": str(LINGER_MS), **own, **timeout}),
            APP,
            terms=known,
            # who asks has 10 s: what is stuck on a cluster that went away goes to the other one, under the same id
            settings=ProducerSettings(
                max_buffer_bytes=buffer_bytes, max_block_s=0.0, resend=len(clusters.declared) > 1
            ),
            validate=declared_check(declared, validate),
            on_problem=lambda problem: typer.echo(f"{problem.kind} {problem.stream}: {problem.text}", err=True),
        )
        taking = Gateway(producer, _probe(clusters, known), Bounds(buffer_bytes), bearer)
        _tell_where(place, listening.getsockname()[1], len(known.streams), is_open=bearer is None, as_json=as_json)
        serve(taking, place, listening, stop_within)
    _end(producer, stop_within, as_json=as_json)


def _known(file: Path | None, folder: Path | None, check: Check) -> tuple[Terms, Sequence[StreamSpec]]:
    """Return the declared streams as producers need them, and as they were declared where that is known."""
    from keystone_platform.errors import InvalidSpec
    from keystone_platform.plan.producing import plan_producers
    from keystone_platform.producer import Terms
    from keystone_platform.spec.loader import load_streams

    if file is not None:
        if check != "off":
            message = "--validate takes the stream YAMLs: the document of --terms holds no schemas"
            raise InvalidSpec(message, mend="Leave out --terms, or --validate.")
        return Terms.load(file), ()
    fleet = load_streams(folder or streams_folder(os.environ)).checked()
    declared = [each.spec for each in fleet.streams]
    return Terms.of(plan_producers(declared, fleet.clusters).model_dump(mode="json")), declared


def _probe(clusters: Clusters, known: Terms) -> Callable[[], str | None]:
    """Return what asks Kafka; of several clusters it is enough that one answers."""
    from keystone_platform.errors import KeystoneError
    from keystone_platform.gateways.kafka_clusters import KafkaClusters

    primaries = {each.topic: each.clusters[0].cluster for each in known.streams.values() if each.clusters}
    kafka = KafkaClusters(clusters, lambda: primaries, timeout_s=3.0)
    topics = {each.topic for each in known.streams.values()}
    topics |= {site.topic for each in known.streams.values() for site in each.clusters}

    def probe() -> str | None:
        try:
            kafka.ends(sorted(topics))
        except KeystoneError as error:
            return error.what
        return None

    return probe


def _tell_where(place: Place, port: int, streams: int, *, is_open: bool, as_json: bool) -> None:
    scheme = "https" if place.tls_certificate else "http"
    url = f"{scheme}://{f'[{place.host}]' if ':' in place.host else place.host}:{port}"
    if as_json:
        typer.echo(json.dumps({"url": url, "streams": streams}))
    typer.echo(f"{url}: takes events of {streams:,} streams. Ctrl-C stops.", err=True)
    if is_open and not place.is_loopback:
        typer.echo("warning: whoever reaches this port may send: ask for a --token", err=True)
    if not is_open and not place.is_loopback and scheme == "http":
        typer.echo("warning: the token travels in the clear: use --tls-certificate, or a proxy that does", err=True)


def _end(producer: KeystoneProducer, within_s: float, *, as_json: bool) -> None:
    before = producer.counts()
    counts = producer.close(within_s)
    if as_json:
        typer.echo(json.dumps(_as_json(counts)))
    reasons = ", ".join(f"{reason} {events:,}" for reason, events in sorted(counts.dropped.items()))
    told = f"attempted {counts.attempted:,}, acknowledged {counts.acknowledged:,}, dropped {counts.dropped_total:,}"
    typer.echo(f"{told} ({reasons})" if reasons else told, err=True)
    if counts.dropped_total > before.dropped_total:
        raise typer.Exit(1)


def _as_json(counts: Counts) -> dict[str, object]:
    dropped = {reason.value: events for reason, events in sorted(counts.dropped.items())}
    return {"attempted": counts.attempted, "acknowledged": counts.acknowledged, "dropped": dropped}
