"""A route of a cluster that lets nobody in without a certificate and a password: the job only says where they are."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from confluent_kafka.admin import AdminClient, ScramCredentialInfo, ScramMechanism, UserScramCredentialUpsertion

from keystone_platform.audit.truth import audit_route
from keystone_platform.gateways.dagster_api import DagsterApi
from keystone_platform.gateways.kafka_clusters import connect_kafka
from keystone_platform.producer.producer import KeystoneProducer
from keystone_platform.spec.clusters import CLUSTERS_VARIABLE
from keystone_platform.wiring import connect
from tests.e2e.platform import Platform, event, started, stream_yaml
from tests.e2e.second_broker import Guarded, SecondBroker, free_ports

pytestmark = [pytest.mark.drill, pytest.mark.timeout(600)]

TLS = Path(__file__).parents[1] / "contract" / "tls"
STREAM = "guarded"
ROUTE = f"{STREAM}.warehouse"
PASSWORD = 'canary "of\\ the drill'
EVENTS = 300


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    made = Path(tempfile.mkdtemp(prefix="keystone-login-"))
    yield made
    shutil.rmtree(made, ignore_errors=True)


@pytest.fixture(scope="module")
def broker(folder: Path) -> Iterator[Guarded]:
    keys, certificate = folder / "keys.pem", TLS / "certificate.pem"
    keys.write_text((TLS / "key.pem").read_text() + certificate.read_text())
    guarded = Guarded(free_ports(1)[0], keys, certificate)
    server = SecondBroker(folder / "broker", guarded)
    server.start()
    info = ScramCredentialInfo(ScramMechanism.SCRAM_SHA_512, 4096)
    upsertion = UserScramCredentialUpsertion("router", info, PASSWORD.encode())
    admin = AdminClient({"bootstrap.servers": server.address})
    admin.alter_user_scram_credentials([upsertion])["router"].result(30)
    yield guarded
    server.kill()


@pytest.fixture(scope="module")
def platform(folder: Path, broker: Guarded) -> Iterator[Platform]:
    streams, password, file = folder / "streams", folder / "password", folder / "clusters.yaml"
    streams.mkdir()
    password.write_text(PASSWORD + "\n")
    file.write_text(
        "clusters:\n"
        f'  primary:\n    bootstrap_servers: "{broker.address}"\n'
        "    properties:\n"
        "      security.protocol: SASL_SSL\n"
        "      sasl.mechanism: SCRAM-SHA-512\n"
        "      sasl.username: router\n"
        f"      sasl.password: file:{password}\n"
        f"      ssl.ca.location: {TLS / 'certificate.pem'}\n"
        f"      ssl.certificate.location: {TLS / 'certificate.pem'}\n"
        f"      ssl.key.location: {TLS / 'key.pem'}\n"
        "streams: {primary: primary}\n"
    )
    with (
        started(folder / "home", streams, without=("dagster",)) as stack,
        pytest.MonkeyPatch.context() as patch,
    ):
        patch.setenv(CLUSTERS_VARIABLE, str(file))
        settings = stack.settings()
        yield Platform(stack, settings, connect(settings), DagsterApi(settings.dagster_url), streams)


def test_a_route_of_a_cluster_that_wants_a_login(platform: Platform) -> None:
    platform.declare(STREAM, stream_yaml(STREAM))
    verdict = platform.apply(ROUTE)
    assert verdict.ok, verdict.message
    with KeystoneProducer(connect_kafka(platform.settings).properties(STREAM), "tests") as producer:
        for number in range(EVENTS):
            producer.send(STREAM, event(number))
        producer.send(STREAM, b"no JSON")
        assert producer.flush(60) == 0
    found = platform.wait_for_rows(STREAM, EVENTS, 120)
    assert (found.rows, found.distinct) == (EVENTS, EVENTS)
    truth = audit_route(platform.settings, platform.plan(ROUTE))
    assert truth.is_exact, truth
    assert truth.dead == 1

    rest, job = platform.settings.flink_rest, platform.latest(ROUTE).job_id
    for of_the_job in (f"jobs/{job}", f"jobs/{job}/config", f"jobs/{job}/plan"):
        assert "canary" not in httpx.get(f"{rest}/{of_the_job}").text
