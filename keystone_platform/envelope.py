"""The headers of a record, each declared once: CloudEvents 1.0, Kafka protocol binding, binary content mode.

https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/bindings/kafka-protocol-binding.md#32-binary-content-mode
"""

from __future__ import annotations

CE_PREFIX = "ce_"
"""Before each attribute's name; extensions are further names after it."""

CE_SPECVERSION = "ce_specversion"
"""Always SPECVERSION."""

CE_ID = "ce_id"
"""The event's guid, a UUIDv7 in its canonical form."""

CE_TIME = "ce_time"
"""When it happened, RFC 3339 in UTC; to the millisecond it is also the record's Kafka timestamp."""

CE_SOURCE = "ce_source"
"""`host/app` of the service that sent it."""

CE_TYPE = "ce_type"
"""The stream's name."""

SPECVERSION = "1.0"

DLQ_REASON = "ks_dlq_reason"
"""`code: text`, as docs/event-format.md lists them. This header and the next ones are added to a dead letter's own."""

DLQ_ROUTE = "ks_dlq_route"
"""The route that could not take it, `<stream>.<route name>`: two routes of a stream may disagree on an event."""

DLQ_DIGEST = "ks_dlq_digest"
"""Digest of the RouterPlan that ran."""

DLQ_TOPIC = "ks_dlq_topic"
"""The topic that it came from; the next two name its place there, as decimal text."""

DLQ_PARTITION = "ks_dlq_partition"
DLQ_OFFSET = "ks_dlq_offset"
