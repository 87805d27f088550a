"""The tables of a pipeline: create their schemas, or write their types and rows to a JSON file.

python tests/parity/pipeline_tables.py create SCHEMA…
python tests/parity/pipeline_tables.py dump FILE SCHEMA…
"""

import json
import sys
from pathlib import Path
from typing import Any

from databricks_only import CHANGES
from pyspark.sql import SparkSession


def create(*schemas: str) -> None:
    """Create the schemas."""
    spark = SparkSession.builder.getOrCreate()
    for schema in schemas:
        spark.sql(f"CREATE SCHEMA IF NOT EXISTS {schema}")


def dump(file: str, *schemas: str) -> None:
    """Write the types and rows of every table, by `schema.table`."""
    spark = SparkSession.builder.getOrCreate()
    found: dict[str, Any] = {}
    for schema in schemas:
        for table in spark.catalog.listTables(schema):
            if not table.isTemporary and not table.name.endswith(CHANGES):
                rows = spark.table(f"{schema}.{table.name}")
                found[f"{schema}.{table.name}"] = {
                    "types": dict(rows.dtypes),
                    "rows": [row.asDict() for row in rows.collect()],
                }
    Path(file).write_text(json.dumps(found, default=str), encoding="utf-8")


if __name__ == "__main__":
    {"create": create, "dump": dump}[sys.argv[1]](*sys.argv[2:])
