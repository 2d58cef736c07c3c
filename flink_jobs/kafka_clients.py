"""A Kafka client's properties in Java's words, from librdkafka's."""

from __future__ import annotations

from keystone_platform.errors import Terminal
from keystone_platform.plan.submission import KafkaServers
from keystone_platform.spec.clusters import is_secret

_JAVA = {"ssl.ca.location": "ssl.truststore.location", "metadata.broker.list": "bootstrap.servers"}
"""Properties that Java's clients call by another name."""

_SHARED = ("security.", "ssl.", "client.", "reconnect.", "socket.connection.")
"""What the names of the others begin with that mean the same in both; what is for one of them alone is left out."""


def client_properties(servers: KafkaServers) -> dict[str, str]:
    """Return what a Java client of the cluster is made with, its address first.

    Raises:
        Terminal: the cluster wants a secret: a job's properties can be read by anybody who sees the job.
    """
    secrets = [key for key in servers.properties if is_secret(key)]
    if secrets:
        message = f"routers can't log in to the Kafka cluster {servers.name!r}: {secrets[0]} would stand in the job"
        raise Terminal(message, mend="Let routers in by their network or certificate files on the TaskManagers.")
    found = {"bootstrap.servers": servers.bootstrap_servers}
    for key, value in servers.properties.items():
        if key in _JAVA:
            found[_JAVA[key]] = value
        elif key.startswith(_SHARED):
            found[key] = value
    if "ssl.ca.location" in servers.properties:
        found["ssl.truststore.type"] = "PEM"
    return found
