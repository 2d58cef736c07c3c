"""The counts as Prometheus metrics.

prometheus_client is no dependency of the platform: a stand-in with its two families takes its place here.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from types import ModuleType

import pytest

from keystone_platform.producer import metrics
from tests.unit.producer.clients import stand_in


@dataclass
class Family:
    name: str
    documentation: str
    value: float | None = None
    labels: Sequence[str] = ()
    samples: dict[tuple[str, ...], float] = field(default_factory=dict)

    def add_metric(self, labels: Sequence[str], value: float) -> None:
        assert len(labels) == len(self.labels)
        self.samples[tuple(labels)] = value


@pytest.fixture
def client(monkeypatch: pytest.MonkeyPatch) -> None:
    core, package = ModuleType("prometheus_client.core"), ModuleType("prometheus_client")
    core.CounterMetricFamily = core.GaugeMetricFamily = Family  # type: ignore[attr-defined]
    package.core = core  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "prometheus_client", package)
    monkeypatch.setitem(sys.modules, "prometheus_client.core", core)


@pytest.mark.usefixtures("client")
def test_each_count_is_a_metric_by_stream_and_cluster() -> None:
    with stand_in() as producer:
        collector = metrics.ProducerCollector(producer)
        producer.send("s", b"{}")
        producer.send("s", 5)  # type: ignore[arg-type]
        producer.flush(20)
        found = {family.name: family for family in collector.collect()}
    assert found.keys() == metrics.MEANINGS.keys()
    at = ("s", "primary")
    assert found[metrics.ATTEMPTED].samples == {at: 2}
    assert found[metrics.ACKNOWLEDGED].samples == {at: 1}
    assert found[metrics.DROPPED].samples[(*at, "not_bytes")] == 1
    assert sum(found[metrics.DROPPED].samples.values()) == 1
    assert found[metrics.PENDING].samples == {at: 0}
    assert found[metrics.BUFFER_BYTES].value == 0


def test_who_has_no_prometheus_client_is_told_when_it_asks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "prometheus_client", None)
    with stand_in() as producer, pytest.raises(ImportError):
        metrics.ProducerCollector(producer)
