"""What the interactive shell of `keystone sql` does with what is typed; the terminal itself is the caller's."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal, get_args

import duckdb
from rich.console import Console

from keystone_platform.errors import InvalidSpec, KeystoneError
from keystone_platform.gateways.clock import Clock, SystemClock
from keystone_platform.gateways.lake import IcebergLake
from keystone_platform.query.answer import Answer, Row, counted, run, views_for, write_csv, write_json, write_table
from keystone_platform.query.moment import NEWEST, AsOf, LastProven, Moment, OfSnapshot, parse_time
from keystone_platform.query.session import bare_session, make_views, translated
from keystone_platform.query.views import View, identifier
from keystone_platform.settings import Settings

Mode = Literal["table", "json", "csv"]

HELP = """\
A statement ends with `;` and may have several lines. Tables are `namespace.table`; each statement sees the newest rows.
  .tables              the tables
  .schema TABLE        a table's columns
  .as-of TIME          from now on the tables as they were then, UTC: .as-of 2026-11-01T10:00
  .as-of now           stay at this moment; .as-of newest follows the newest rows again
  .as-of snapshot ID   one table in that snapshot (`keystone snapshots TABLE`)
  .as-of proven        only hours whose proof holds; the same rows are always in `namespace_proven.table`
  .refresh             look for new tables
  .mode MODE           table, json or csv
  .timer on|off        how long each statement took
  .help  .quit
Ctrl-C ends a query, Ctrl-D leaves."""

POLL_S = 0.05
"""How often it is looked whether a query has ended, or somebody pressed Ctrl-C."""


@dataclass(frozen=True)
class Manner:
    """How answers are shown, and of which moment."""

    mode: Mode = "table"
    timer: bool = True
    moment: Moment = NEWEST


class Shell:
    """One DuckDB session whose views follow the tables.

    Args:
        settings: where catalog and object store are.
        console: where answers go.
        manner: how they are shown at first.
        clock: what says when now is.
    """

    def __init__(
        self, settings: Settings, console: Console, manner: Manner | None = None, clock: Clock | None = None
    ) -> None:
        self._settings = settings
        self._console = console
        self.manner = manner or Manner()
        self._clock = clock or SystemClock()
        self._lake = IcebergLake(settings)
        self._session = bare_session(settings.s3)
        self._views: dict[tuple[str, str], View] = {}
        self._cancelled = threading.Event()
        self.tables: tuple[str, ...] = ()

    def refresh(self) -> None:
        """Look for new tables, and at each one's rows anew."""
        self.tables = self._lake.tables()

    def columns(self, table: str) -> tuple[str, ...]:
        """Return the names of the table's columns."""
        return tuple(field.name for field in self._lake.load(table).schema().fields)

    def handle(self, text: str) -> bool:
        """Do what was typed: statements, or a command that begins with a dot. Errors are shown, never raised.

        Ctrl-C while it works ends the work, not the shell. Returns False when the shell is to be left.
        """
        typed = text.strip()
        if typed.rstrip(";").strip() in (".quit", ".exit"):
            return False
        if typed.strip(";"):
            self._guarded(lambda: self._command(typed) if typed.startswith(".") else self._statements(typed))
        return True

    def _guarded(self, work: Callable[[], None]) -> None:
        """Work in a thread of its own: this one waits for Ctrl-C, which would not get through to DuckDB."""
        self._cancelled.clear()
        done = threading.Event()  # join() may take a thread for ended that a Ctrl-C found waiting for it
        thread = threading.Thread(target=self._shown, args=(work, done), daemon=True)
        thread.start()
        while not done.is_set():
            try:
                done.wait(POLL_S)
            except KeyboardInterrupt:
                self._cancelled.set()
            if self._cancelled.is_set():
                self._session.interrupt()  # again and again: between two statements there is nothing to interrupt
        thread.join(1.0)  # else it may be the last to hold the session, while the interpreter ends: an abort

    def _shown(self, work: Callable[[], None], done: threading.Event) -> None:
        try:
            work()
        except KeystoneError as error:
            shown = "interrupted" if self._cancelled.is_set() else f"error: {error}"
            self._console.print(shown, style="red", markup=False, soft_wrap=True)
        finally:
            done.set()

    def _statements(self, text: str) -> None:
        with translated(self._settings.s3):
            statements = duckdb.extract_statements(text)
        for statement in statements:
            self._statement(statement.query)

    def _statement(self, sql: str) -> None:
        started = time.monotonic()
        self._look(sql)
        answer = self._until_cancelled(run(self._session, self._settings.s3, sql, self.tables))
        match self.manner.mode:
            case "json":
                write_json(answer, self._console.file)
                note = ""
            case "csv":
                write_csv(answer, self._console.file)
                note = ""
            case "table":
                note = counted(write_table(answer, self._console))
        seconds = f"{time.monotonic() - started:.2f} s" if self.manner.timer else ""
        self._tell(", ".join(part for part in (note, seconds) if part))

    def _look(self, sql: str) -> None:
        """Make the views that the statement needs, where they are not there or the tables changed."""
        self.refresh()
        wanted = views_for(self._lake, sql, self.tables, self.manner.moment) if _may_name_tables(sql) else ()
        known = self._views
        changed = [view for view in wanted if known.get((view.schema, view.name)) != view]
        make_views(self._session, self._settings.s3, changed)
        known.update({(view.schema, view.name): view for view in changed})

    def _until_cancelled(self, answer: Answer) -> Answer:
        def batches() -> Iterator[Sequence[Row]]:
            for batch in answer.batches:
                if self._cancelled.is_set():
                    message = "the query was interrupted"
                    raise InvalidSpec(message)
                yield batch

        return replace(answer, batches=batches())

    def _command(self, typed: str) -> None:
        name, *words = typed.rstrip(";").split()
        match name, words:
            case ".help", []:
                self._tell(HELP)
            case ".tables", []:
                self.refresh()
                self._tell("\n".join(self.tables) or "no table has been created yet: `keystone apply`")
            case ".schema", [table]:
                self._statement(f"SELECT column_name, column_type FROM (DESCRIBE {table})")
            case ".refresh", []:
                self.refresh()
                self._tell(f"{len(self.tables)} tables")
            case ".mode", [mode] if mode in get_args(Mode):
                self.manner = replace(self.manner, mode=mode)  # type: ignore[arg-type] # one of Mode's own
            case ".timer", [("on" | "off") as word]:
                self.manner = replace(self.manner, timer=word == "on")
            case ".as-of", []:
                self._tell(f"the tables as of {self.manner.moment}")
            case ".as-of", _:
                self._travel(words)
            case _:
                message = f"{typed!r} is no command"
                raise InvalidSpec(message, mend=".help lists them; a statement begins without a dot.")

    def _travel(self, words: Sequence[str]) -> None:
        match words:
            case ["newest" | "off"]:
                moment: Moment = NEWEST
            case ["proven"]:
                moment = LastProven()
            case ["snapshot", number] if number.isdecimal():
                moment = OfSnapshot(int(number))
            case _:
                moment = AsOf(parse_time(" ".join(words), self._clock.now()))
        self.manner = replace(self.manner, moment=moment)
        with translated(self._settings.s3):
            for schema, name in self._views:  # else a table without that moment would go on showing another one
                self._session.execute(f"DROP VIEW IF EXISTS {identifier(schema)}.{identifier(name)}")
        self._views.clear()
        self._tell(f"the tables as of {moment}")

    def _tell(self, text: str) -> None:
        if text:
            self._console.print(text, markup=False, highlight=False, soft_wrap=True)


def is_complete(text: str) -> bool:
    """Whether what was typed can be done: a command, nothing, or statements that end with `;`."""
    if not text.strip() or text.lstrip().startswith("."):
        return True
    tokens = duckdb.tokenize(text)
    return bool(tokens) and text.encode()[tokens[-1][0] :].startswith(b";")


def _may_name_tables(sql: str) -> bool:
    """Whether views matter: the statement reads from something, or asks what there is."""
    words = sql.lower()
    return any(word in words for word in ("from", "table", "describe", "show", "summarize", "."))
