"""Forms of the names in a stream file, and the parts that Keystone adds to them."""

from __future__ import annotations

from typing import Annotated

from pydantic import StringConstraints

Name = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,62}$")]
"""Name of a stream, a route or a column of our own making."""

FieldName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z][A-Za-z0-9_]{0,127}$")]
"""Name of a field of the payload, as producers spell it. A leading underscore is reserved for metadata columns."""

TopicName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9._-]{0,244}[A-Za-z0-9_-]$")]
"""A Kafka topic; four characters are kept free for the dead letters' suffix; `.` and `..` are none."""

CLUSTER_PATTERN = r"^[a-z][a-z0-9-]{0,30}$"
"""Name of a Kafka cluster. It has no dot: `<cluster>.<topic>` is read back at the first one."""

NO_CLUSTER = "none"
"""Written as a stream's standby where it has none although others do; no cluster has this name."""

ClusterName = Annotated[str, StringConstraints(pattern=CLUSTER_PATTERN)]
"""Name of a Kafka cluster, or `none`."""

LONGEST_TOPIC = 249
"""Characters of a Kafka topic's name, at most."""

DEAD_LETTER_NAMESPACE = "dead_letters"
"""Namespace of the tables of landed dead letters, one a stream."""

REPLAY_INFIX = ".replay."
"""Between a stream's topic and a route's name: the topic of the route's replayed dead letters."""

FieldPath = Annotated[str, StringConstraints(pattern=r"^[A-Za-z][A-Za-z0-9_]*(\.[A-Za-z][A-Za-z0-9_]*)*$")]
"""A field of the payload, dotted when nested: `device.type`."""

TableName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,62}\.[a-z][a-z0-9_]{0,62}$")]
"""`namespace.table`."""

ColumnName = Annotated[str, StringConstraints(pattern=r"^_?[A-Za-z][A-Za-z0-9_]{0,127}$")]
"""A column of a sink: one that is selected, or one of Keystone's own."""

DEAD_LETTER_SUFFIX = ".dlq"
