"""The counts as Prometheus metrics, as a registry of prometheus_client shows them."""

from __future__ import annotations

import sys

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from keystone_platform.producer import metrics
from tests.unit.producer.clients import stand_in


def test_each_count_is_a_metric_by_stream_and_cluster() -> None:
    with stand_in() as producer:
        registry = CollectorRegistry()
        registry.register(metrics.ProducerCollector(producer))
        producer.send("s", b"{}")
        producer.send("s", 5)  # type: ignore[arg-type]
        producer.flush(20)
        at = {"stream": "s", "cluster": "primary"}
        counters = (metrics.ATTEMPTED, metrics.ACKNOWLEDGED)
        shown = {name: registry.get_sample_value(f"{name}_total", at) for name in counters}
        dropped = {
            sample.labels["reason"]: sample.value
            for family in registry.collect()
            for sample in family.samples
            if sample.name == f"{metrics.DROPPED}_total"
        }
        page = generate_latest(registry).decode()
    assert shown == {metrics.ATTEMPTED: 2, metrics.ACKNOWLEDGED: 1}
    assert (dropped["not_bytes"], sum(dropped.values())) == (1, 1)
    assert registry.get_sample_value(metrics.PENDING, at) == 0
    assert registry.get_sample_value(metrics.BUFFER_BYTES) == 0
    assert all(f" {meaning}\n" in page for meaning in metrics.MEANINGS.values())


def test_who_has_no_prometheus_client_is_told_when_it_asks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "prometheus_client", None)
    with stand_in() as producer, pytest.raises(ImportError):
        metrics.ProducerCollector(producer)
