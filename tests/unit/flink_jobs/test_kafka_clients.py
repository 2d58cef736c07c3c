"""What a router's Kafka clients are told of a cluster that wants to know who they are."""

from __future__ import annotations

import pytest

from flink_jobs.kafka_clients import client_properties
from keystone_platform.errors import Terminal
from keystone_platform.plan.submission import Connection, KafkaServers
from keystone_platform.settings import S3Settings, Settings

SCRAM = {
    "security.protocol": "SASL_SSL",
    "sasl.mechanism": "SCRAM-SHA-512",
    "sasl.username": "router",
    "sasl.password": "file:/run/secrets/kafka",
    "ssl.ca.location": "/etc/ca.pem",
}


def of(**properties: str) -> dict[str, str]:
    return client_properties(KafkaServers(name="a", bootstrap_servers="b:9092", properties=properties))


def test_a_cluster_that_wants_nothing_is_told_nothing() -> None:
    assert of(**{"linger.ms": "5", "client.rack": "x"}) == {"bootstrap.servers": "b:9092", "client.rack": "x"}


def test_a_login_names_where_the_password_is() -> None:
    found = of(**SCRAM)
    assert found["sasl.mechanism"] == "SCRAM-SHA-512"
    assert found["sasl.jaas.config"].endswith(
        'ScramLoginModule required username="router" password="${jaas:file:/run/secrets/kafka}";'
    )
    assert (found["ssl.truststore.location"], found["ssl.truststore.type"]) == ("/etc/ca.pem", "PEM")
    assert found["config.providers"] == "secret,jaas"
    assert "sasl.password" not in found


def test_a_users_name_is_quoted() -> None:
    found = of(**{**SCRAM, "sasl.mechanisms": "PLAIN", "sasl.mechanism": "PLAIN", "sasl.username": 'a"\\b'})
    assert 'PlainLoginModule required username="a\\"\\\\b"' in found["sasl.jaas.config"]


def test_a_clients_own_certificate() -> None:
    found = of(
        **{
            "security.protocol": "SSL",
            "ssl.certificate.location": "/etc/me.pem",
            "ssl.key.location": "/etc/me.key",
            "ssl.key.password": "env:KEY_PASSWORD",
            "ssl.endpoint.identification.algorithm": "none",
        }
    )
    assert found["ssl.keystore.type"] == "PEM"
    assert found["ssl.keystore.certificate.chain"] == "${secret:file:/etc/me.pem}"
    assert found["ssl.keystore.key"] == "${secret:file:/etc/me.key}"
    assert found["ssl.key.password"] == "${secret:env:KEY_PASSWORD}"
    assert found["ssl.endpoint.identification.algorithm"] == ""


@pytest.mark.parametrize("mechanism", ["GSSAPI", "OAUTHBEARER"])
def test_a_way_to_log_in_that_routers_do_not_know(mechanism: str) -> None:
    with pytest.raises(Terminal, match=f"'a' with {mechanism}"):
        of(**{**SCRAM, "sasl.mechanism": mechanism})


def test_a_secret_of_the_settings_is_in_no_job() -> None:
    kafka = {"bootstrap.servers": "b:9092", **SCRAM, "sasl.password": "canary-41"}
    s3 = S3Settings(endpoint="http://s3", access_key_id="i", secret_access_key="k")
    urls = {"flink_rest": "http://f", "dagster_url": "http://d", "ledger_url": "sqlite://"}
    catalog = {"type": "sql", "uri": "sqlite://"}
    connection = Connection.of(Settings.model_validate({"kafka": kafka, "s3": s3, "catalog": catalog, **urls}))
    assert "canary-41" not in connection.model_dump_json()
    with pytest.raises(Terminal, match=r"sasl\.password is not given by reference") as refused:
        client_properties(connection.default_kafka())
    assert "env:NAME" in refused.value.mend
