"""What an analyst asks of the example streams' tables."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass


@dataclass(frozen=True)
class Query:
    """A question, the table that answers it, and the SQL."""

    question: str
    table: str
    sql: str


_EXAMPLES = (
    Query(
        "Where is most watched, and on what?",
        "events.playback",
        """SELECT country, device_type, count(*) AS plays, count(DISTINCT user_id) AS viewers,
       round(sum(duration_ms) / 3.6e6, 1) AS hours_watched
FROM events.playback
GROUP BY ALL
ORDER BY hours_watched DESC
LIMIT 8""",
    ),
    Query(
        "Which errors hurt most, and since when?",
        "events.client_errors",
        """SELECT app_version, severity, count(*) AS errors, mode(code) AS commonest_code,
       strftime(min(_time), '%H:%M:%S') AS first_seen
FROM events.client_errors
GROUP BY ALL
ORDER BY errors DESC
LIMIT 8""",
    ),
    Query(
        "What did the impressions of each hour earn?",
        "events.ad_impressions",
        """SELECT strftime(date_trunc('hour', _time), '%d %b %H:%M') AS hour, placement.page AS page,
       count(*) AS impressions,
       round(avg(is_viewable::INT) * 100, 1) AS viewable_percent, round(sum(price_usd), 2) AS usd
FROM events.ad_impressions
GROUP BY ALL
ORDER BY hour, usd DESC
LIMIT 12""",
    ),
)

_ANY = """SELECT strftime(date_trunc('hour', _time), '%d %b %H:%M') AS hour, _app AS app, count(*) AS rows,
       count(DISTINCT _guid) AS distinct_guids
FROM {table}
GROUP BY ALL
ORDER BY hour DESC
LIMIT 8"""


def queries(tables: Collection[str]) -> tuple[Query, ...]:
    """Return up to three queries that these tables can answer; for tables of other streams a count by hour."""
    fitting = [query for query in _EXAMPLES if query.table in tables]
    known = {query.table for query in fitting}
    others = [
        Query("What came in each hour?", table, _ANY.format(table=table)) for table in tables if table not in known
    ]
    return tuple([*fitting, *others][:3])
