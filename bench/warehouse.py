"""`make bench-warehouse`: compaction beside a bare COPY of DuckDB, queries, sensor, commit; JSON lines with `JSON=1`.

Tables and catalog (SQLite) are on this machine's disk; no server runs, but for the query, which reads over HTTP from
the embedded stack's S3 server. SIZE=GB sets the hour whose peak memory is measured. Each case runs in a process of its
own. What is compared alternates within one process.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from rich.console import Console
from rich.table import Table

from bench.warehouse_cases import CASES, Figure

ROOT = Path(__file__).parents[1]


def main() -> None:
    """Measure and print; exit status 1 if a figure misses what it is to reach, or a case failed."""
    options = _options()
    figures: list[Figure] = []
    failed = 0
    for case in (name for name in CASES if options.case in name):
        try:
            for figure in _measure(case, options.size):
                figures.append(figure)
                if options.json:
                    sys.stdout.write(json.dumps(figure.as_json()) + "\n")
                    sys.stdout.flush()
        except subprocess.CalledProcessError as error:
            failed += 1
            sys.stderr.write(f"{case}: failed\n{error.stderr[-3000:]}\n")
    if not options.json:
        _show(figures)
    sys.exit(failed > 0 or not all(figure.is_reached for figure in figures))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="one JSON object a line")
    parser.add_argument("--case", default="", help="only cases whose name contains this")
    parser.add_argument("--size", type=float, default=5.0, help="GB of the hour whose peak memory is measured")
    return parser.parse_args()


def _measure(case: str, size: float) -> Iterator[Figure]:
    with tempfile.TemporaryDirectory(prefix="keystone-bench-") as folder:
        command = [sys.executable, "-m", "bench.warehouse_cases", case, folder, str(size)]
        ended = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
    for line in ended.stdout.splitlines():
        if line.startswith("{"):
            yield Figure(**json.loads(line))


def _show(figures: list[Figure]) -> None:
    table = Table("case", show_edge=False, pad_edge=False)
    for column in ("value", "unit", "reference", "ratio", "to reach"):
        table.add_column(column, justify="right")
    for figure in figures:
        reference = "" if figure.reference is None else f"{figure.reference:,.3g}"
        ratio = "" if figure.ratio is None else f"{figure.ratio:.2f}"
        goal = f"{figure.goal} {'reached' if figure.is_reached else 'MISSED'}"
        table.add_row(figure.case, f"{figure.value:,.3g}", figure.unit, reference, ratio, goal)
    Console().print(table)


if __name__ == "__main__":
    main()
