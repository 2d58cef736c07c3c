"""What a service imports to send events; needs confluent-kafka and nothing else of Keystone's dependencies."""

from keystone_platform.producer.accounting import Counts, DropReason, Place
from keystone_platform.producer.delivery import Delivery, EventDropped
from keystone_platform.producer.health import Condition, FailoverLimits, Health
from keystone_platform.producer.origin import Origin
from keystone_platform.producer.problems import Problem
from keystone_platform.producer.producer import KeystoneProducer
from keystone_platform.producer.roster import Cluster
from keystone_platform.producer.settings import ProducerSettings
from keystone_platform.producer.terms import Site, StreamTerms, Terms

__all__ = [
    "Cluster",
    "Condition",
    "Counts",
    "Delivery",
    "DropReason",
    "EventDropped",
    "FailoverLimits",
    "Health",
    "KeystoneProducer",
    "Origin",
    "Place",
    "Problem",
    "ProducerSettings",
    "Site",
    "StreamTerms",
    "Terms",
]
