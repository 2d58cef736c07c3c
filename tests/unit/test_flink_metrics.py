"""What the metrics of a router's vertices come to where its job has a source a cluster."""

from __future__ import annotations

from dataclasses import replace

from keystone_platform.gateways.flink_metrics import Vertex, together
from keystone_platform.plan.progress import Reading

PRIMARY = Reading(parallelism=2, events=100, per_s=10.0, lag=5, busy=0.7, backpressured=0.1)


def test_a_source_alone_is_what_it_was() -> None:
    assert together([PRIMARY]) == PRIMARY
    assert together([]) is None


def test_two_sources_count_as_one() -> None:
    standby = Reading(parallelism=2, events=7, per_s=2.0, lag=30, busy=0.5, backpressured=0.2)
    assert together([PRIMARY, standby]) == Reading(2, events=107, per_s=12.0, lag=35, busy=1.0, backpressured=0.2)


def test_a_source_whose_cluster_never_answered_hides_no_lag_of_the_other() -> None:
    silent = Reading(parallelism=2, events=0, per_s=0.0, lag=None, busy=0.0, backpressured=0.0)
    assert together([PRIMARY, silent]) == PRIMARY
    assert together([replace(PRIMARY, lag=None), silent]) == replace(PRIMARY, lag=None)


def test_the_letters_of_both_clusters_are_asked_for() -> None:
    letters = "Calc[4] -> _dead_letters[5]: Writer, Calc[6] -> _standby_dead_letters[7]: Writer"
    name = f"both clusters -> (t.x: Writer, {letters})"
    wanted = Vertex("v", name, 1).wanted()
    assert "_dead_letters[5]__Writer.numRecordsIn" in wanted
    assert "_standby_dead_letters[7]__Writer.numRecordsIn" in wanted
