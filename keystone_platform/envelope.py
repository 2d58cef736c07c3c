"""The headers of a record, each declared once: CloudEvents 1.0, Kafka protocol binding, binary content mode.

https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/bindings/kafka-protocol-binding.md#32-binary-content-mode
"""

from __future__ import annotations

MAX_EVENT_BYTES = 10 * 1024 * 1024 + 64 * 1024
"""Of key and payload together. Brokers bound batches as they are compressed, so a topic may hold larger ones."""

MAX_HEADERS_BYTES = 256 * 1024
"""Of all of a record's headers, where they are written on."""

CE_PREFIX = "ce_"
"""Before each attribute's name; extensions are further names after it."""

CE_SPECVERSION = "ce_specversion"
"""Always SPECVERSION."""

CE_ID = "ce_id"
"""The event's guid, a UUIDv7 in its canonical form; of an event that another sender made, the id that it has there."""

CE_TIME = "ce_time"
"""When it happened, RFC 3339 in UTC; to the millisecond it is also the record's Kafka timestamp."""

CE_SOURCE = "ce_source"
"""`host/app` of the service that sent it; through the HTTP gateway, the sender's own source."""

CE_TYPE = "ce_type"
"""The stream's name; of an event that came through the HTTP gateway, the type that its sender gave it."""

SPECVERSION = "1.0"

PRODUCER_COUNTS_TYPE = "keystone.producer.counts"
"""The type of an audit event, in which a producer tells what it counted."""

AUDIT_TOPIC = "keystone.producers"
"""The topic of these."""

DLQ_PREFIX = "ks_dlq_"
"""Before each header that the router adds to those of a dead letter; a replay takes them off again."""

DLQ_CODE = "ks_dlq_code"
"""Why it died: one of the codes of docs/dead-letters.md."""

DLQ_TEXT = "ks_dlq_text"
"""The same for people: names fields, types and places, never what the payload holds."""

DLQ_TIME = "ks_dlq_time"
"""When the router gave it up, RFC 3339 in UTC; the record's Kafka timestamp stays the event's time."""

DLQ_ROUTE = "ks_dlq_route"
"""The route that could not take it, `<stream>.<route name>`: two routes of a stream may disagree on an event."""

DLQ_DIGEST = "ks_dlq_digest"
"""Digest of the RouterPlan that ran."""

REPLAY_LETTER = "ks_replay_letter"
"""Of a replayed event: its dead letter, `<topic>:<partition>:<offset>`."""

REPLAY_SOURCE = "ks_replay_source"
"""Of a replayed event: where its route read it before, `<topic>:<partition>:<offset>`. A route is given each such place
at most once."""

DLQ_TOPIC = "ks_dlq_topic"
"""The topic that it came from; the next two name its place there, as decimal text."""

DLQ_PARTITION = "ks_dlq_partition"
DLQ_OFFSET = "ks_dlq_offset"
