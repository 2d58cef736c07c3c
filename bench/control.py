"""`make bench-control`: what the control plane costs for 100, 500 and 2,000 routes, as JSON lines with `JSON=1`.

The fleet is on paper: real stream files, the real ledger, Dagster's own databases; Flink is a stand-in behind HTTP that
tests/contract holds to the real one, and its CPU is not counted. A fiftieth of the routers is down. Each case runs in a
process of its own; the first three figures are of the case after its imports, those of a command or a load are of the
whole process.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from bench.control_cases import CASES, peak_memory_mb
from bench.control_fleet import PaperFleet, declare, deploy
from keystone_platform.settings import HOME_VARIABLE, SETTINGS_VARIABLE, STREAMS_VARIABLE
from tests.control.fake_flink_rest import serve

ROOT = Path(__file__).parents[1]
SIZES = (100, 500, 2000)
_POLL_S = 0.05
_MEMORY = Path("/dev/shm")
"""Files and databases are kept in memory where that can be: the disk is not what is measured."""

_CLI = "from keystone_platform.cli import main; main()"
_LOAD = "from {module} import defs; repository = defs().get_repository_def()"
_TELL = f"""{_LOAD}
from dagster._core.remote_representation.external_data import RepositorySnap
from dagster._serdes import serialize_value
serialize_value(RepositorySnap.from_def(repository))"""
"""What a code server does after the load: the document that webserver and daemon ask for."""
_PLATFORM, _WAREHOUSE = "keystone_platform.definitions", "assets.definitions"

PROCESSES: Mapping[str, tuple[str, ...]] = {
    "keystone validate": ("-c", _CLI, "validate"),
    "definitions load, control plane": ("-c", _LOAD.format(module=_PLATFORM)),
    "definitions load, warehouse": ("-c", _LOAD.format(module=_WAREHOUSE)),
    "the same and told to Dagster, control plane": ("-c", _TELL.format(module=_PLATFORM)),
    "the same and told to Dagster, warehouse": ("-c", _TELL.format(module=_WAREHOUSE)),
}
"""Cases that are a whole process: arguments of the interpreter."""

BOUNDS = {
    "sweep and decide": ("cpu_s", 2.0),
    "sensor tick, all to report": ("wall_s", 10.0),
    "sensor tick, little new": ("wall_s", 10.0),
    "definitions load, control plane": ("wall_s", 10.0),
    "definitions load, warehouse": ("wall_s", 10.0),
}
"""What must hold for the largest fleet."""


@dataclass(frozen=True)
class Figure:
    """What one case took.

    Attributes:
        cpu_s: user and system time of the measured part.
        rss_mb: most memory that its process ever had, in MiB.
    """

    case: str
    routes: int
    cpu_s: float
    wall_s: float
    rss_mb: float

    @property
    def bound(self) -> str:
        """The bound and whether it is kept; empty where there is none."""
        if self.case not in BOUNDS or self.routes < max(SIZES):
            return ""
        field, most = BOUNDS[self.case]
        return f"{'kept' if self.is_kept else 'broken'}: {field} < {most:g}"

    @property
    def is_kept(self) -> bool:
        """Whether the figure is within its bound, where it has one."""
        field, most = BOUNDS.get(self.case, ("cpu_s", float("inf")))
        return self.routes < max(SIZES) or getattr(self, field) < most


def main() -> None:
    """Measure and print; exit status 1 if a bound is broken."""
    options = _options()
    figures = []
    for routes in options.routes:
        for figure in _measure(routes, options.case):
            figures.append(figure)
            if options.json:
                sys.stdout.write(json.dumps(asdict(figure)) + "\n")
                sys.stdout.flush()
    if not options.json:
        _show(figures)
    sys.exit(not all(figure.is_kept for figure in figures))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="one JSON object a line")
    parser.add_argument("--routes", type=int, nargs="+", default=list(SIZES), help="sizes of the fleet")
    parser.add_argument("--case", default="", help="only cases whose name contains this")
    return parser.parse_args()


def _measure(routes: int, only: str) -> Iterator[Figure]:
    with tempfile.TemporaryDirectory(prefix="keystone-bench-", dir=_MEMORY if _MEMORY.is_dir() else None) as folder:
        fleet = declare(Path(folder) / "fleet", routes)
        with serve(deploy(fleet)) as url:
            environment = _environment(fleet, url)
            for case in CASES:
                if only in case:
                    yield _case(case, routes, environment)
            for case, arguments in PROCESSES.items():
                if only in case:
                    yield _process(case, routes, arguments, environment)


def _environment(fleet: PaperFleet, flink_rest: str) -> dict[str, str]:
    settings = fleet.folder / "settings.json"
    settings.write_text(fleet.settings(flink_rest).model_dump_json())
    (fleet.dagster_home / "dagster.yaml").write_text("telemetry: {enabled: false}\n")
    places = {
        HOME_VARIABLE: fleet.folder,
        SETTINGS_VARIABLE: settings,
        STREAMS_VARIABLE: fleet.streams,
        "DAGSTER_HOME": fleet.dagster_home,
    }
    return {**os.environ, "PYTHONWARNINGS": "ignore", **{name: str(place) for name, place in places.items()}}


def _case(case: str, routes: int, environment: Mapping[str, str]) -> Figure:
    command = [sys.executable, "-m", "bench.control_cases", case]
    ended = subprocess.run(command, cwd=ROOT, env=environment, check=True, stdout=subprocess.PIPE, text=True)
    return Figure(case, routes, **json.loads(ended.stdout.splitlines()[-1]))


def _process(case: str, routes: int, arguments: tuple[str, ...], environment: Mapping[str, str]) -> Figure:
    started = time.perf_counter()
    with tempfile.TemporaryFile() as output:
        process = subprocess.Popen(
            [sys.executable, *arguments], cwd=ROOT, env=environment, stdout=output, stderr=subprocess.STDOUT
        )
        memory = 0.0
        while os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
            memory = max(memory, peak_memory_mb(process.pid))
            time.sleep(_POLL_S)
        _, status, usage = os.wait4(process.pid, 0)
        wall = time.perf_counter() - started
        if status:
            output.seek(0)
            message = f"{case} failed: {output.read().decode()[-2000:]}"
            raise RuntimeError(message)
    return Figure(case, routes, round(usage.ru_utime + usage.ru_stime, 3), round(wall, 3), round(memory, 1))


def _show(figures: list[Figure]) -> None:
    table = Table("case", "routes", "CPU", "wall", "memory", "", box=None, pad_edge=False)
    for each in sorted(figures, key=lambda figure: figure.case):
        numbers = (f"{each.cpu_s:.2f} s", f"{each.wall_s:.2f} s", f"{each.rss_mb:.0f} MiB")
        table.add_row(each.case, f"{each.routes:,}", *numbers, each.bound)
    Console().print(table)


if __name__ == "__main__":
    main()
