"""Producers without a broker: one that reaches nobody, and one with librdkafka's own stand-in for a cluster."""

from __future__ import annotations

from typing import Any

from keystone_platform.producer import KeystoneProducer

NOWHERE = {"bootstrap.servers": "127.0.0.1:1"}

STAND_IN = {"bootstrap.servers": "ignored", "test.mock.num.brokers": "1", "linger.ms": "1"}
"""librdkafka starts a broker within the client, which takes every topic."""


def nowhere(**arguments: Any) -> KeystoneProducer:
    return KeystoneProducer(NOWHERE, "test", **arguments)


def stand_in(**arguments: Any) -> KeystoneProducer:
    return KeystoneProducer(STAND_IN, "test", **arguments)
