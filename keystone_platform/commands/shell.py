"""The terminal of `keystone sql` without a statement: prompt, history, completion."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from prompt_toolkit import PromptSession
from prompt_toolkit.completion import CompleteEvent, Completer, Completion
from prompt_toolkit.document import Document
from prompt_toolkit.filters import Condition
from prompt_toolkit.history import FileHistory

from keystone_platform.commands.output import stdout_console
from keystone_platform.query.completion import Words
from keystone_platform.query.moment import NEWEST
from keystone_platform.query.shell import Manner, Shell, is_complete
from keystone_platform.settings import Settings, home_folder

HISTORY = "sql_history"
"""Name of the file of typed statements, in the home folder where there is one, else hidden in the user's own."""

_WORD = re.compile(r"[\w.-]+")


def open_shell(settings: Settings, manner: Manner) -> None:
    """Read, run and show statements until the user leaves."""
    shell = Shell(settings, stdout_console(), manner)
    shell.refresh()
    number = len(shell.tables)
    print(
        f"{number} table{'' if number == 1 else 's'} as of {manner.moment}. .help tells what there is, Ctrl-D leaves."
    )
    converse(shell, prompt_session(shell, history_file(os.environ)))


def prompt_session(shell: Shell, history: Path) -> PromptSession[str]:
    """Return the prompt: Enter ends what is complete, and begins another line of what is not."""
    session: PromptSession[str] = PromptSession(
        history=Statements(str(history)),
        completer=_Suggestions(Words(lambda: shell.tables, shell.columns)),
        complete_in_thread=True,  # it may have to ask the catalog
        prompt_continuation=lambda width, _line, _wrapped: "." * (width - 1) + " ",
    )
    session.multiline = Condition(lambda: not is_complete(session.default_buffer.text))
    return session


def converse(shell: Shell, session: PromptSession[str]) -> None:
    """Prompt and run until the user leaves; Ctrl-C drops what is typed."""
    while True:
        moment = shell.manner.moment
        try:
            text = session.prompt("keystone> " if moment == NEWEST else f"keystone ({moment})> ")
        except KeyboardInterrupt:
            continue
        except EOFError:
            return
        if not shell.handle(text):
            return


def history_file(env: Mapping[str, str]) -> Path:
    """Return where statements are remembered, readable by the user only."""
    home = home_folder(env)
    file = home / HISTORY if home.is_dir() else Path.home() / f".keystone_{HISTORY}"
    file.touch(mode=0o600)
    return file


class Statements(FileHistory):
    """What was typed, but for what may hold a secret."""

    def store_string(self, string: str) -> None:
        """Write it down for the next shell."""
        if "secret" not in string.lower():
            super().store_string(string)


class _Suggestions(Completer):
    def __init__(self, words: Words) -> None:
        self._words = words

    def get_completions(self, document: Document, complete_event: CompleteEvent) -> Iterable[Completion]:
        word = document.get_word_before_cursor(pattern=_WORD)
        for found in self._words.suggest(document.text, word):
            yield Completion(found, start_position=-len(word))
