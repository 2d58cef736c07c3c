"""Names in the warehouse's part of the asset graph and keys of its metadata: each declared once, with its meaning."""

from __future__ import annotations

from dagster import AssetKey

DEFAULT_ROUTE = "warehouse"
"""Name of a stream's warehouse route when it has only one; then the assets are called by the stream alone."""

COMPACTION_POOL = "compaction"
"""Pool of the runs that compact, since each takes a core and a gigabyte."""

BACKFILL_POOL = "backfill"
"""Pool of the runs that backfill, since each takes slots of the Flink cluster from routers."""

DEAD_LETTER_POOL = "dead_letters"
"""Pool of the runs that land dead letters."""

UPKEEP_POOL = "upkeep"
"""Pool of the runs that keep tables tidy: one after the other, beside compactions."""

UPKEEP = AssetKey("upkeep")
"""The asset of the upkeep of all tables."""

DEAD_LETTERS_TAG = "keystone/dead_letters"
"""Tag of a run that lands dead letters: the stream."""

TABLE_TAG = "keystone/table"
HOUR_TAG = "keystone/hour"
"""Tags of a run that the compaction sensor asked for: what is being compacted already is not asked for again."""

NO_DUPLICATES = "no_duplicates"
"""Asset check: no (topic, partition, offset) occurs twice in the hour."""

OBJECTS_PRESENT = "objects_present"
"""Asset check: the object store holds the compacted files, with the sizes that the table says."""

COMPLETE = "complete"
"""Asset check: each event of the hour is landed once, filtered or dead, and rows say what events say."""

SCHEMA = "schema_as_declared"
"""Asset check: the table is as the stream declares it."""

ACCOUNTED = "accounted"
"""Asset check: Kafka has at least the events of the hour that producers were told it has."""

LOSS = "loss_within_limit"
"""Asset check: of a day's events no more than so many were dropped before they reached Kafka."""

USES_PRIMARY = "producers_use_primary"
"""Asset check: services send the stream to its primary cluster, not to the standby."""

# Metadata of an hour, landed or compacted. Numbers are plotted by the UI.
ROWS = "keystone/rows"
FILES = "keystone/files"
BYTES = "keystone/bytes"
SMALL_FILES = "keystone/small_files"
FIRST_TIME = "keystone/first_time"
LAST_TIME = "keystone/last_time"
ROWS_ADDED = "keystone/rows_added"
"""Rows that came since the sensor's last look."""
LATE_ROWS = "keystone/late_rows"
"""Of these, how many landed more than five minutes after their hour's end."""
TRAFFIC = "keystone/traffic"
"""Events that came into the stream's topic in the hour, by Kafka's index of times."""
KEPT_RATIO = "keystone/kept_ratio"
"""Rows by traffic: what the route's filter keeps, once the router has caught up."""
HOUR = "keystone/hour"
"""The hour, where it is no partition: before the stream's `since`, in the future, or without a time."""
SNAPSHOT = "keystone/snapshot_id"
"""As text: the number does not fit what a browser counts with."""
TABLE = "keystone/table"

# Metadata of a compaction.
ROWS_REWRITTEN = "keystone/rows_rewritten"
FILES_BEFORE = "keystone/files_before"
FILES_AFTER = "keystone/files_after"
BYTES_BEFORE = "keystone/bytes_before"
BYTES_AFTER = "keystone/bytes_after"
DUPLICATES = "keystone/duplicates"

# Metadata of a backfill.
BACKFILL = "keystone/backfill"
"""Name of its branch."""
ROWS_REMOVED = "keystone/rows_removed"
ROWS_BROUGHT = "keystone/rows_brought"
"""Rows that a backfill took out of the table, and that it put there instead."""
ROWS_KEPT = "keystone/rows_kept"
"""Rows of the hours that stayed, since the raw table that was read does not hold their events."""
EVENT_SOURCE = "keystone/event_source"
"""Where a backfill read the events: Kafka, or a table at a snapshot."""
OFFSETS_READ = "keystone/offsets_read"
OFFSETS_LEFT = "keystone/offsets_left"
"""Offsets that were asked for and are not part of it: deleted in Kafka, or not yet committed by the router."""

# Metadata of a proof (plan/hour_proof.py says what each counts).
STANDING = "keystone/standing"
BEHIND = "keystone/rows_behind_segment"
GAPS = "keystone/gaps"
GAPS_UNREAD = "keystone/gaps_unread"
GAPS_EXPIRED = "keystone/gaps_expired"
COMPARED_WHOLE = "keystone/compared_whole"
COMPARED_OFFSETS = "keystone/compared_offsets"
EVENTS_READ = "keystone/events_read"
EVENTS_LANDED = "keystone/events_landed"
EVENTS_FILTERED = "keystone/events_filtered"
EVENTS_DEAD = "keystone/events_dead"
EVENTS_MISSING = "keystone/events_missing"
EVENTS_WAITING = "keystone/events_waiting"
ROWS_UNEXPECTED = "keystone/rows_unexpected"
ROWS_DIFFERENT = "keystone/rows_different"
EXPIRED_PARTITIONS = "keystone/expired_partitions"
EXPIRED_ROWS = "keystone/expired_rows"
CHECKSUM_EVENTS = "keystone/checksum_events"
CHECKSUM_ROWS = "keystone/checksum_rows"
SCHEMA_DIFFERENCES = "keystone/schema_differences"
PROVEN_UNTIL = "keystone/proven_until"
"""End of the last hour up to which all of the table's hours are proven."""

# Metadata of what producers counted (plan/produced.py says what each counts).
ATTEMPTED = "keystone/attempted"
ACKNOWLEDGED = "keystone/acknowledged"
DROPPED = "keystone/dropped"
PENDING = "keystone/pending"
LOSS_RATIO = "keystone/loss_ratio"
PRODUCERS = "keystone/producers"
PRODUCERS_SILENT = "keystone/producers_silent"
DAY = "keystone/day"
"""The day, where it is no partition."""
IN_KAFKA = "keystone/in_kafka"
"""Records of the hour's segment in the stream's topic, and those behind it that belong to the hour."""
UNACKNOWLEDGED = "keystone/in_kafka_unacknowledged"
"""Of these, how many no producer was told of; negative where Kafka lacks some that were acknowledged."""

VIEWS_KEY = AssetKey(["views", "warehouse"])
"""The asset of `warehouse.duckdb`: a view a table."""

# Metadata of a refresh of it.
VIEWS = "keystone/views"
STATE = "keystone/tables_state"
"""Differs when any table's metadata does: what the file shows."""
FILE = "keystone/file"
PUBLISHED = "keystone/published"

PARTITION_ROWS = "dagster/partition_row_count"
"""Dagster's own key for what the UI shows as the partition's rows."""

TABLE_ROWS = "dagster/row_count"
"""Dagster's own key for what the UI shows as the table's rows."""

# Metadata of a landing of dead letters.
LETTERS_GONE = "keystone/letters_gone"
"""Offsets of the topic that were deleted before they were landed."""
STRANGERS = "keystone/strangers"
"""Records of the topic that no router wrote."""
REACHED = "keystone/reached"
"""Sum over the topic's partitions of the offsets that are landed."""


# Metadata of a run of upkeep.
TABLES = "keystone/tables"
FAILED_TABLES = "keystone/failed_tables"
BYTES_FREED = "keystone/bytes_freed"
DRY_RUN = "keystone/dry_run"
"""Nothing was touched: the numbers are what would go."""


def removed_key(thing: str) -> str:
    """Return the key of how many of these upkeep removed, such as `keystone/removed_snapshots`."""
    return f"keystone/removed_{thing.replace(' ', '_')}"


def acknowledged_key(cluster: str) -> str:
    """Return the key of how many events a cluster acknowledged."""
    return f"keystone/acknowledged_by_{cluster}"


def producers_key(cluster: str) -> str:
    """Return the key of how many producers send to a cluster."""
    return f"keystone/producers_at_{cluster}"


def dropped_key(reason: str) -> str:
    """Return the key of how many events were dropped for a reason."""
    return f"keystone/dropped_{reason}"


def produced_key(stream: str) -> AssetKey:
    """Return the asset of what services sent of the stream."""
    return AssetKey(["produced", stream])


def dead_letters_key(stream: str) -> AssetKey:
    """Return the asset of the stream's landed dead letters."""
    return AssetKey(["dead_letters", stream])


def landed_key(stream: str, route: str) -> AssetKey:
    """Return the asset of the rows that the route landed."""
    return _key("landed", stream, route)


def compacted_key(stream: str, route: str) -> AssetKey:
    """Return the asset of the route's compacted hours."""
    return _key("compacted", stream, route)


def backfilled_key(stream: str, route: str) -> AssetKey:
    """Return the asset of the route's hours that were run again."""
    return _key("backfilled", stream, route)


def _key(kind: str, stream: str, route: str) -> AssetKey:
    return AssetKey([kind, stream] if route == DEFAULT_ROUTE else [kind, stream, route])
