"""A Kafka client's properties in Java's words, from librdkafka's.

A secret stays a reference: each client looks it up where it is made, on a TaskManager or the JobManager, through
`io.keystone.kafka.SecretReferences`. A job's properties can be read by everybody who sees the job.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from keystone_platform.errors import Terminal
from keystone_platform.plan.submission import KafkaServers
from keystone_platform.secret import REFERENCE
from keystone_platform.spec.clusters import is_secret

_KAFKA = "org.apache.flink.kafka.shaded.org.apache.kafka"
"""Where Flink's connector keeps Kafka's classes."""

_LOGINS = {
    "PLAIN": f"{_KAFKA}.common.security.plain.PlainLoginModule",
    "SCRAM-SHA-256": f"{_KAFKA}.common.security.scram.ScramLoginModule",
    "SCRAM-SHA-512": f"{_KAFKA}.common.security.scram.ScramLoginModule",
}
"""The modules that log in, by SASL's mechanism."""

_PROVIDER = "io.keystone.kafka.SecretReferences"

_PROVIDERS = {
    "config.providers": "secret,jaas",
    "config.providers.secret.class": _PROVIDER,
    "config.providers.jaas.class": _PROVIDER,
    "config.providers.jaas.param.quoted": "true",
}

_SHARED = ("security.", "ssl.", "client.", "reconnect.", "socket.connection.")
"""What the names begin with that mean the same in both; what is for one of them alone is left out."""

_PEM = {"ssl.certificate.location": "ssl.keystore.certificate.chain", "ssl.key.location": "ssl.keystore.key"}
"""Files of a client's own certificate, whose text Java's clients want instead of their place."""

_MECHANISM = ("sasl.mechanism", "sasl.mechanisms")


def client_properties(servers: KafkaServers) -> dict[str, str]:
    """Return what a Java client of the cluster is made with, its address first; secrets by reference.

    Raises:
        Terminal: routers don't know the way that clients log in there, or a secret is there itself.
    """
    given = {_java_name(key): value for key, value in servers.properties.items()}
    found = {"bootstrap.servers": servers.bootstrap_servers}
    for key, value in given.items():
        if key in _PEM:
            found |= {_PEM[key]: _looked_up(f"file:{value}"), "ssl.keystore.type": "PEM"}
        elif key == "ssl.ca.location":
            found |= {"ssl.truststore.location": value, "ssl.truststore.type": "PEM"}
        elif key == "ssl.endpoint.identification.algorithm":
            found[key] = "" if value == "none" else value
        elif is_secret(key) and not key.startswith("sasl."):
            found[key] = _looked_up(_reference(servers, key, value))
        elif key.startswith(_SHARED):
            found[key] = value
    if "SASL" in given.get("security.protocol", "").upper():
        found |= _login(servers, given)
    return found | _PROVIDERS if any("${" in value for value in found.values()) else found


def _java_name(key: str) -> str:
    return "sasl.mechanism" if key in _MECHANISM else key


def _login(servers: KafkaServers, given: Mapping[str, str]) -> dict[str, str]:
    mechanism = given.get("sasl.mechanism", "GSSAPI")
    if mechanism not in _LOGINS:
        message = f"routers can't log in to the Kafka cluster {servers.name!r} with {mechanism}"
        raise Terminal(message, mend=f"Known are {', '.join(_LOGINS)}, and certificates without SASL.")
    user = given.get("sasl.username", "").replace("\\", "\\\\").replace('"', '\\"')
    password = _reference(servers, "sasl.password", given.get("sasl.password", ""))
    login = f'{_LOGINS[mechanism]} required username="{user}" password="${{jaas:{password}}}";'
    return {"sasl.mechanism": mechanism, "sasl.jaas.config": login}


def _looked_up(reference: str) -> str:
    return f"${{secret:{reference}}}"


def _reference(servers: KafkaServers, key: str, value: str) -> str:
    if re.match(REFERENCE, value):
        return value
    message = f"of the Kafka cluster {servers.name!r}, {key} is not given by reference"
    raise Terminal(message, mend="Write where it is found: `env:NAME` or `file:/PATH`; routers look there themselves.")
