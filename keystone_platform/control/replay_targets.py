"""Which routes of a stream can take their dead letters again, and by which plan."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from keystone_platform.errors import InvalidSpec
from keystone_platform.gateways.ledger import Ledger
from keystone_platform.plan.deployment import Deployment, newest_taken
from keystone_platform.spec.fleet import LoadedStream
from keystone_platform.spec.models import replay_topic


def replayable(ledger: Ledger, stream: LoadedStream, routes: Sequence[str]) -> Mapping[str, Deployment]:
    """Return the newest deployment of each route that reads a replay topic, or of the named ones.

    Raises:
        InvalidSpec: a named route is not declared, was never deployed, or reads no replay topic; without names: no
            route of the stream does.
    """
    declared = [route.id for route in stream.routes]
    for name in routes:
        if name not in declared:
            message = f"no route {name!r} is declared"
            raise InvalidSpec(message, mend=f"{stream.spec.stream} has: {', '.join(declared)}.")
    found: dict[str, Deployment] = {}
    for route in stream.routes:
        if routes and route.id not in routes:
            continue
        last = newest_taken(ledger.history(route.id))
        if last and last.plan.source.replay_topic == replay_topic(stream.spec, route.route):
            found[route.id] = last
        elif routes:
            message = f"route {route.id} reads no replay topic" if last else f"route {route.id} was never deployed"
            mend = "A route that decodes nothing has none; else `keystone apply` gives it one."
            raise InvalidSpec(message, mend=mend)
    if not found:
        message = f"no route of {stream.spec.stream} reads replayed dead letters"
        raise InvalidSpec(message, mend="Deploy it: keystone apply. A route that decodes nothing has no dead letters.")
    return found
