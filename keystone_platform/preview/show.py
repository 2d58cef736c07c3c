"""A preview for people."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from keystone_platform.preview.profile import Differences
from keystone_platform.preview.report import Preview
from keystone_platform.query.values import cell

SHOWN_REASONS = 10
SHOWN_FIELDS = 30
CELL_WIDTH = 40
TYPE_WIDTH = 24


def show(preview: Preview, console: Console) -> None:
    """Print it."""
    console.print(Group(*_parts(preview)), soft_wrap=False)


def _parts(preview: Preview) -> Iterator[RenderableType]:
    plan, counts = preview.plan, preview.counts
    target = next(value for name, value in plan.target if name != "kind")
    yield Text.assemble((plan.route, "bold"), f" → {plan.target.kind} {target}, if it ran as declared now")
    if preview.missing:
        yield Text(f"topic {preview.place} does not exist yet: there are no events to look at", style="yellow")
        return
    if not counts.events:
        yield Text(f"{preview.place} holds no events to look at", style="yellow")
        return
    yield Text(_read(preview))
    yield from (Text(""), _fates(preview))
    if plan.source.raw:
        yield Text("Nothing is decoded: payloads go on untouched, so no event can be a dead letter.")
    if counts.kept:
        yield from (Text(""), *_sink(preview))
    yield from (Text(""), *_schema(preview.differences, preview.declares_schema))
    sizes = preview.payloads
    yield Text(f"payload: median {_size(sizes.median)}, largest {_size(sizes.max)} ({sizes.max_at})")
    if counts.without_headers and not preview.is_file:
        yield Text(f"{counts.without_headers:,} events have no CloudEvents headers: no _guid, _host, _app")


def _read(preview: Preview) -> str:
    span = f", {_time(preview.first_time)} to {_time(preview.last_time)}" if preview.first_time else ""
    partitions = f" of {preview.partitions} partitions" if preview.partitions > 1 else ""
    return f"the newest {preview.counts.events:,} events of {preview.place}{partitions}{span}"


def _fates(preview: Preview) -> Table:
    counts = preview.counts
    table = Table(box=None, show_header=False, pad_edge=False)
    for justify in ("left", "right", "right", "left"):
        table.add_column(justify=justify)
    unknown = f"of these {counts.filter_null:,} because a field of the filter is null" if counts.filter_null else ""
    for name, events, note in (
        ("kept", counts.kept, ""),
        ("filtered out", counts.filtered, unknown),
        ("dead", counts.dead, ""),
    ):
        table.add_row(name, f"{events:,}", f"{counts.share(events):.1%}", note)
    for reason in preview.dead_reasons[:SHOWN_REASONS]:
        table.add_row(f"  {reason.reason}", f"{reason.events:,}", "", f"such as {reason.example}")
    return table


def _sink(preview: Preview) -> Iterator[RenderableType]:
    if not preview.columns:
        yield Text("The newest events as they go on:")
        for row in preview.rows:
            yield Text(f"  {_shortened(cell(row['value']), 4 * CELL_WIDTH)}")
        return
    yield Text("The newest rows, a column a line:" if preview.rows else "Columns:")
    table = Table(box=None, pad_edge=False)
    names = max(len("column"), *(len(column.name) for column in preview.columns))
    table.add_column("column", no_wrap=True, min_width=min(names, CELL_WIDTH))
    table.add_column("type", no_wrap=True, max_width=TYPE_WIDTH)
    table.add_column("has a value", no_wrap=True, min_width=len("100%, constant"))
    for number in range(1, len(preview.rows) + 1):
        table.add_column(f"row {number}", no_wrap=True, overflow="ellipsis")
    for column in preview.columns:
        share = f"{column.values / preview.counts.kept:.0%}" if column.values else "never"
        note = f"{share}, constant" if column.name in preview.constant else share
        values = (Text(_shortened(cell(row[column.name]), CELL_WIDTH)) for row in preview.rows)
        style = "yellow" if column.name in preview.always_null else ""
        table.add_row(column.name, column.type, note, *values, style=style)
    yield table


def _schema(found: Differences, declared: bool) -> Iterator[RenderableType]:
    if found.contradicted:
        yield Text("Declared types that values contradict:", style="yellow")
        for each in found.contradicted:
            mend = f"{each.fits} would fit all of them" if each.fits else f"no type fits all of them: {each.found}"
            yield Text(
                f"  {each.field}: {each.declared} does not fit {each.share:.1%} of its values; {mend} ({each.example})"
            )
    if found.never_seen:
        yield Text(f"Declared fields that no event has: {', '.join(found.never_seen)}")
    if found.only_null:
        yield Text(f"Declared fields that are always null: {', '.join(found.only_null)}")
    if found.undeclared:
        title = "Fields that events have and the stream does not declare:"
        yield Text(title if declared else "No schema is declared. Fields that events have:")
        for field in found.undeclared[:SHOWN_FIELDS]:
            note = "" if field.declarable else "  (can't be declared under this name)"
            yield Text(f"  {field.field}: {field.type}    in {field.share:.0%} of the events{note}")
        hidden = len(found.undeclared) - SHOWN_FIELDS
        if hidden > 0 or found.more:
            yield Text(f"  and {max(hidden, 0)}{' or more' if found.more else ''} others; --json has more")


def _shortened(value: Any, width: int) -> str:  # noqa: ANN401 - whatever DuckDB gives
    text = "" if value is None else str(value)
    if not text.isprintable():  # what events hold must not steer a terminal
        text = repr(text)[1:-1]
    return text if len(text) <= width else f"{text[: width - 1]}…"


def _size(number: int) -> str:
    return f"{number:,} B" if number < 10_000 else f"{number / 1000:,.0f} kB"


def _time(moment: datetime | None) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S}" if moment else ""
