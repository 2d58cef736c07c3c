"""Runs in an environment with pyspark only: answers each line of stdin that names a table with the table's sums."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import asdict

from checksum import sums  # beside this file: the project's packages are not in Spark's environment
from pyspark.sql import SparkSession


def main() -> None:
    options = json.loads(sys.argv[1])
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # whatever Spark's JVM prints is no answer
    catalog = "spark.sql.catalog.keystone"
    session = (
        SparkSession.builder.master("local[2]")
        .config("spark.jars", options["jars"])
        .config("spark.ui.enabled", "false")
        .config("spark.driver.bindAddress", "127.0.0.1")
        .config("spark.driver.host", "127.0.0.1")
        .config("spark.sql.session.timeZone", "UTC")
        .config("spark.sql.shuffle.partitions", "2")
        .config("spark.sql.extensions", "org.apache.iceberg.spark.extensions.IcebergSparkSessionExtensions")
        .config(catalog, "org.apache.iceberg.spark.SparkCatalog")
        .config(f"{catalog}.catalog-impl", "org.apache.iceberg.jdbc.JdbcCatalog")
        .config(f"{catalog}.uri", f"jdbc:sqlite:{options['database']}")
        .config(f"{catalog}.jdbc.schema-version", "V1")
        .config(f"{catalog}.warehouse", options["warehouse"])
        .config(f"{catalog}.cache-enabled", "false")
        .getOrCreate()
    )
    for line in sys.stdin:
        asked = json.loads(line)
        rows = session.sql(f"SELECT * EXCEPT ({asked['without']}) FROM keystone.{asked['table']}").toArrow().to_pylist()
        answers.write(json.dumps(asdict(sums(rows, asked["columns"]))) + "\n")
        answers.flush()
    session.stop()


if __name__ == "__main__":
    main()
