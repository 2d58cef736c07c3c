"""What a service imports to send events; needs confluent-kafka and nothing else of Keystone's dependencies."""

from keystone_platform.producer.accounting import Counts, DropReason, Place
from keystone_platform.producer.client import Cluster
from keystone_platform.producer.delivery import Delivery, EventDropped
from keystone_platform.producer.origin import Origin
from keystone_platform.producer.problems import Problem
from keystone_platform.producer.producer import KeystoneProducer
from keystone_platform.producer.settings import ProducerSettings
from keystone_platform.producer.terms import StreamTerms, Terms

__all__ = [
    "Cluster",
    "Counts",
    "Delivery",
    "DropReason",
    "EventDropped",
    "KeystoneProducer",
    "Origin",
    "Place",
    "Problem",
    "ProducerSettings",
    "StreamTerms",
    "Terms",
]
