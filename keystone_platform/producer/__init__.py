"""What a service imports to send events; needs confluent-kafka and nothing else of Keystone's dependencies."""

from keystone_platform.producer.accounting import Counts, DropReason
from keystone_platform.producer.producer import KeystoneProducer

__all__ = ["Counts", "DropReason", "KeystoneProducer"]
