"""Where a sort puts what does not fit into memory: a folder that is gone when the process is, however it ended."""

from __future__ import annotations

import fcntl
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

PREFIX = "keystone-compaction-"
_LOCK = "lock"


@contextmanager
def spill_folder() -> Iterator[Path]:
    """Yield an empty folder below the system's temporary one (TMPDIR), and remove it afterwards.

    A process that was killed leaves its folder; whoever comes next on this machine removes it. A folder belongs to the
    living as long as its lock file is locked, which the kernel undoes with the process.
    """
    remove_abandoned(Path(tempfile.gettempdir()))
    with tempfile.TemporaryDirectory(prefix=PREFIX) as name:
        folder = Path(name)
        with (folder / _LOCK).open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield folder


def remove_abandoned(parent: Path) -> None:
    """Remove the spill folders of processes that are no more."""
    for lock_file in parent.glob(f"{PREFIX}*/{_LOCK}"):
        try:
            with lock_file.open("r+") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(lock_file.parent, ignore_errors=True)
        except OSError:  # somebody's who lives, or another user's, or gone meanwhile
            continue
