"""`make spark-check`: pyiceberg, DuckDB and Spark read the same table after each step of its life."""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path

from tests.contract.lake_tables import local_settings
from tests.engines.checksum import differences
from tests.engines.readers import NOT_IN_SPARK, in_process, spark
from tests.engines.scenario import Scenario

ROOT = Path(__file__).parents[2]


def main() -> int:
    """Lead the table through its life; exit status 1 when any two engines differ, or one from what was put in."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--python", type=Path, default=ROOT / ".venv-spark/bin/python", help="of Spark's environment")
    parser.add_argument("--jars", type=Path, default=ROOT / ".jars-spark/spark", help="of Iceberg's Spark runtime")
    parser.add_argument("--json", action="store_true", help="one object a line")
    arguments = parser.parse_args()
    wrong = 0
    with tempfile.TemporaryDirectory(prefix="keystone-spark-") as folder:
        scenario = Scenario(local_settings(Path(folder)))
        readers = dict(in_process(scenario.settings))
        with spark(scenario.settings, arguments.python, arguments.jars, Path(folder) / "spark.log") as by_spark:
            readers["Spark"] = by_spark
            for step in scenario.life():
                truth = scenario.truth()
                expected = dict.fromkeys(readers, truth) | {"Spark": truth.without(NOT_IN_SPARK)}
                found = {name: list(differences(expected[name], read())) for name, read in readers.items()}
                wrong += sum(map(len, found.values()))
                if arguments.json:
                    line = {"step": step, "rows": truth.rows, "columns": len(truth.columns), "differences": found}
                    print(json.dumps(line), flush=True)
                else:
                    print(f"{step}: {truth.rows} rows, {len(truth.columns)} columns", flush=True)
                    for name, lines in found.items():
                        print(f"  {name:10} {'the same' if not lines else 'DIFFERS'}", *lines, sep="\n             ")
    if not arguments.json:
        print(f"{wrong} differences" if wrong else "all engines agree with what was put in, at every step")
        print(f"(Spark was asked for all columns but {NOT_IN_SPARK}, a name that its Iceberg runtime keeps for itself)")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
