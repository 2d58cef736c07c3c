"""Which files are merged and which hours are due."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from assets.compaction.select import InputFile, Policy, choose_files, choose_runs, due_hours, is_due
from keystone_platform.gateways.iceberg_files import HourTotals

TEN = datetime(2026, 11, 1, 10, tzinfo=UTC)
POLICY = Policy(min_files=5, small_bytes=100, group_bytes=250, quiet=timedelta(minutes=5), settled=timedelta(hours=1))


def files(*sizes: int) -> list[InputFile]:
    return [InputFile(f"f{number}", size) for number, size in enumerate(sizes)]


def test_large_files_are_left_alone() -> None:
    assert choose_files(files(100, 40, 5000, 50), POLICY) == (tuple(files(0, 40, 0, 50)[i] for i in (1, 3)),)


def test_late_events_rewrite_only_themselves() -> None:
    large, *late = chosen = files(256, 3, 2, 4)
    assert choose_files(chosen, POLICY) == (tuple(late),)
    assert choose_files([large, InputFile("merged", 9)], POLICY) == ()


def test_a_medium_file_waits_until_the_late_ones_are_worth_it() -> None:
    assert choose_files(files(60, 1, 2), POLICY) == (tuple(files(60, 1, 2)[1:]),)
    assert choose_files(files(60, 20, 10), POLICY) == (tuple(files(60, 20, 10)),)


@pytest.mark.parametrize("arrivals", [[1], [1, 3, 1], [7, 1, 1, 1], [1, 20]], ids=str)
def test_however_late_events_trickle_in_rows_are_seldom_rewritten_and_files_stay_few(arrivals: list[int]) -> None:
    policy = Policy(small_bytes=64, group_bytes=10_000)
    held: list[tuple[InputFile, int]] = []  # a file, and how often the row in it that was moved most was rewritten
    for number, size in enumerate(arrivals * 400):
        held.append((InputFile(f"late-{number}", size), 0))
        for group in choose_files([file for file, _ in held], policy):
            moves = 1 + max(times for file, times in held if file in group)
            held = [(file, times) for file, times in held if file not in group]
            held.append((InputFile(f"merged-{number}", sum(file.bytes for file in group)), moves))
        assert sum(file.bytes < policy.small_bytes for file, _ in held) <= 4
    assert max(times for _, times in held) <= 10


def test_groups_of_a_large_hour_are_about_equal() -> None:
    sizes = [sum(file.bytes for file in group) for group in choose_files(files(*[20] * 26), POLICY)]
    assert sizes == [260, 260]


@pytest.mark.parametrize("sizes", [(), (10,), (500,), (500, 10, 600)])
def test_nothing_is_rewritten_for_less_than_two_small_files(sizes: tuple[int, ...]) -> None:
    assert choose_files(files(*sizes), POLICY) == ()


@pytest.mark.parametrize("sizes", [[90] * 9, [99, 1] * 20, [30] * 100, [80, 90] * 3], ids=str)
def test_groups_are_neither_small_nor_large_and_no_file_is_in_two(sizes: list[int]) -> None:
    chosen = choose_files(files(*sizes), POLICY)
    slack = max(sizes)  # files are not cut
    for group in chosen:
        size = sum(file.bytes for file in group)
        assert POLICY.group_bytes * 2 // 3 - slack <= size <= POLICY.group_bytes * 3 // 2 + slack
    paths = [file.path for group in chosen for file in group]
    assert sorted(paths) == sorted(file.path for file in files(*sizes))
    assert len(paths) == len(set(paths))


@pytest.mark.parametrize("sizes", [[90] * 9, [100], [1] * 301, [500, 1, 1, 500], [120, 120]], ids=str)
def test_runs_hold_each_file_once_in_order_and_are_bounded(sizes: list[int]) -> None:
    group = files(*sizes)
    runs = choose_runs(group, 100)
    assert [file for run in runs for file in run] == list(group)
    assert all(run and sum(file.bytes for file in run) <= 100 + max(sizes) for run in runs)


def hour(small: int, changed: timedelta | None, start: datetime = TEN) -> HourTotals:
    """An hour whose last commit was so long after its end."""
    changed_at = None if changed is None else start + timedelta(hours=1) + changed
    sizes = (10,) * small
    return HourTotals(start, 10, files=small, bytes=10, small_files=small, small_sizes=sizes, changed_at=changed_at)


def after_end(minutes: float) -> datetime:
    return TEN + timedelta(hours=1, minutes=minutes)


def test_an_open_hour_is_never_due() -> None:
    assert not is_due(hour(1000, timedelta(minutes=-30)), TEN + timedelta(minutes=59), POLICY)


def test_an_hour_is_due_once_it_is_over_and_quiet() -> None:
    assert not is_due(hour(5, timedelta(0)), after_end(4), POLICY)
    assert is_due(hour(5, timedelta(0)), after_end(5), POLICY)


def test_late_events_make_an_old_hour_due_again_when_they_have_settled() -> None:
    late = hour(6, timedelta(days=3))
    assert not is_due(late, TEN + timedelta(days=3, hours=1, minutes=4), POLICY)
    assert is_due(late, TEN + timedelta(days=3, hours=1, minutes=5), POLICY)


def test_few_late_files_are_not_left_for_ever() -> None:
    two = hour(2, timedelta(minutes=10))
    assert not is_due(two, after_end(69), POLICY)
    assert is_due(two, after_end(70), POLICY)


def test_a_trickle_of_late_events_does_not_rewrite_the_hour_at_each_look() -> None:
    assert not is_due(hour(2, timedelta(hours=8)), after_end(8 * 60 + 6), POLICY)


def test_a_compacted_hour_is_not_due_again() -> None:
    assert not is_due(hour(1, timedelta(0)), TEN + timedelta(days=30), POLICY)


def test_an_hour_whose_snapshots_expired_is_settled() -> None:
    assert is_due(hour(2, None), TEN + timedelta(days=30), POLICY)


def test_rows_without_a_time_are_no_hour() -> None:
    assert not is_due(HourTotals(None, files=9, small_files=9, small_sizes=(10,) * 9), TEN, POLICY)


def test_the_hour_with_most_small_files_comes_first() -> None:
    start = [TEN + timedelta(hours=number) for number in range(3)]
    totals = [hour(small, None, when) for small, when in zip((6, 9, 7), start, strict=True)]
    assert [total.small_files for total in due_hours(totals, TEN + timedelta(days=1), POLICY)] == [9, 7, 6]
