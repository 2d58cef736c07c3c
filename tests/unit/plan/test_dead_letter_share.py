"""When too many of a router's events die, over time: one sample of its counters after another."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from keystone_platform.plan.dead_letter_share import (
    FEWEST_LETTERS,
    WINDOW,
    Counts,
    Share,
    Window,
    advance,
    exceeds,
    share_of,
)
from keystone_platform.spec.models import DeadLetterLimit

START = datetime(2026, 11, 1, 12, tzinfo=UTC)
LATER = timedelta(days=1)


def after(*samples: tuple[float, int, int], started: datetime = START, job_id: str = "j") -> Window:
    """Return the window after samples of (minutes since START, events, dead)."""
    window: Window | None = None
    for minutes, events, dead in samples:
        counts = Counts(at=START + timedelta(minutes=minutes), events=events, dead=dead)
        window = advance(window, job_id, started, counts)
    assert window is not None
    return window


SHARES = {
    "a young job counts from its start": ([(1, 100, 40)], Share(100, 40)),
    "an old job's past is unknown": ([(60, 9_000, 800)], Share(0, 0)),
    "what came since": ([(60, 9_000, 800), (60.2, 9_100, 805)], Share(100, 5)),
    "the window has not passed yet": ([(60, 0, 0), (62, 100, 5), (64, 200, 5)], Share(200, 5)),
    "what is older than two windows is forgotten": (
        [(60, 0, 0), (65, 1_000, 900), (70, 2_000, 900), (71, 2_100, 901)],
        Share(1_100, 1),
    ),
    "counters that go backwards are a restart": ([(60, 9_000, 800), (61, 50, 2)], Share(50, 2)),
    "one counter that goes backwards as well": ([(60, 50, 800), (61, 50, 2)], Share(50, 2)),
    "samples far apart compare neighbours": ([(60, 0, 0), (80, 100, 1), (100, 300, 51)], Share(200, 50)),
}


@pytest.mark.parametrize(("samples", "share"), SHARES.values(), ids=SHARES)
def test_the_share_is_counted_over_the_last_minutes(samples: list[tuple[float, int, int]], share: Share) -> None:
    assert share_of(after(*samples)) == share


def test_another_job_is_counted_anew() -> None:
    window = after((60, 9_000, 800), (61, 9_100, 900))
    started = START + timedelta(minutes=61)
    window = advance(window, "k", started, Counts(at=started + WINDOW / 5, events=9_200, dead=901))
    assert share_of(window) == Share(9_200, 901)


VERDICTS = [
    (Share(10, 1), 0.05, False),  # one bad event of ten is no alarm
    (Share(FEWEST_LETTERS, FEWEST_LETTERS), 0.05, True),
    (Share(FEWEST_LETTERS - 1, FEWEST_LETTERS - 1), 0.0, False),
    (Share(1_000, 50), 0.05, False),
    (Share(1_000, 51), 0.05, True),
    (Share(1_000, 1_000), 1.0, False),
    (Share(0, 0), 0.0, False),
]


@pytest.mark.parametrize(("share", "ratio", "alarm"), VERDICTS)
def test_few_letters_or_a_small_share_are_no_alarm(share: Share, ratio: float, alarm: bool) -> None:
    assert exceeds(share, DeadLetterLimit(max_ratio=ratio)) is alarm
