"""Looks for secrets in the files of a stack that runs."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from pathlib import Path


def files_with(folder: Path, words: Sequence[str]) -> list[str]:
    """Return the files below the folder, links left out, that hold one of these words.

    Another process reads them: a process that closes a file of a SQLite database loses the locks of all connections
    that it has to that database (sqlite.org/howtocorrupt.html, 2.2). Catalog and ledger are open here; whoever has them
    open elsewhere would then take itself for the last one and delete their log: what is written here goes into a file
    without a name, and the next connection here fails with "disk I/O error" (SQLITE_IOERR_SHORT_READ).
    """
    command = ["grep", "--recursive", "--fixed-strings", "--files-with-matches", "--no-messages"]
    command += [argument for word in words for argument in ("-e", word)]
    found = subprocess.run([*command, str(folder)], capture_output=True, text=True, check=False)
    return found.stdout.splitlines()
