"""Notebooks, SQL and files of Python on the embedded engine, with the tables of catalogs."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from harness.baking import TEMPLATE

from tool.conftest import TOOL
from tool.test_run_notebooks import ipynb

pytestmark = pytest.mark.slow

FILES = {
    "databricks.yml": "bundle: {name: demo}\ninclude: [targets/*.yml, resources/*/*.yml]\n",
    "targets/dev.yml": "targets: {dev: {default: true}}\n",
    "pyproject.toml": (
        '[project]\nname = "lakehouse"\nscripts = { lakehouse = "lakehouse.entry:main" }\n'
    ),
    "resources/shop/job.yml": """\
resources:
  jobs:
    shop:
      name: shop
      parameters: [{name: least, default: 2}]
      tasks:
        - task_key: make
          sql_task:
            warehouse_id: x
            file: {path: ../../src/make.sql}
            parameters: {cat: lake}
        - task_key: look
          depends_on: [{task_key: make}]
          notebook_task: {notebook_path: ../../src/look.ipynb}
        - task_key: script
          depends_on: [{task_key: look}]
          environment_key: default
          spark_python_task:
            python_file: ../../src/script.py
            parameters: ["{{tasks.look.values.rows}}"]
        - task_key: last
          depends_on: [{task_key: script}]
          sql_task: {warehouse_id: x, file: {path: ../../src/last.sql}}
        - task_key: lost
          sql_task: {warehouse_id: x, file: {path: ../../src/lost.sql}}
        - task_key: typo
          sql_task: {warehouse_id: x, file: {path: ../../src/typo.sql}}
        - task_key: cell
          notebook_task: {notebook_path: ../../src/cell.py}
        - task_key: call
          notebook_task: {notebook_path: ../../src/call.py}
        - task_key: parts
          depends_on: [{task_key: last}]
          environment_key: default
          spark_python_task: {python_file: ../../src/parts.py}
        - task_key: edges
          environment_key: default
          spark_python_task: {python_file: ../../src/edges.py}
      environments: [{environment_key: default}]
""",
    "src/make.sql": """\
-- three rows; one is deleted
USE CATALOG lake;
CREATE SCHEMA IF NOT EXISTS shop_gold;
CREATE OR REPLACE TABLE shop_gold.orders AS
SELECT * FROM VALUES (1, 'it''s; so'), (2, 'b'), (3, 'c') AS x(id, name);
DELETE FROM shop_gold.orders WHERE id = 3;
MERGE INTO shop_gold.orders AS t USING (SELECT 2 AS id, 'B' AS name UNION ALL SELECT 4, :cat) AS s
ON t.id = s.id WHEN MATCHED THEN UPDATE SET * WHEN NOT MATCHED THEN INSERT *;
UPDATE shop_gold.orders SET name = 'one' WHERE id = 1;
CREATE TABLE IF NOT EXISTS lake.shop_gold.days (day DATE, note STRING);
INSERT INTO lake.shop_gold.days VALUES (DATE'2026-01-02', 'x');
INSERT INTO lake.shop_gold.days (note) SELECT 'no day';
SELECT o.id, o.name, n FROM IDENTIFIER(:cat || '.shop_gold.orders') o
CROSS JOIN (SELECT count(*) AS n FROM shop_gold.days) WHERE o.id >= CAST(:least AS INT) ORDER BY id
""",
    "src/look.ipynb": ipynb(
        "from pyspark.sql import SparkSession, functions as F\n"
        "assert SparkSession.builder.appName('x').getOrCreate() is spark\n"
        "orders = spark.table('lake.shop_gold.orders')\n"
        "assert spark.read.table(tableName='`lake`.shop_gold.orders').count() == 3\n"
        "twice = orders.withColumn('twice', F.udf(lambda n: 2 * n, 'int')('id'))\n"
        "twice.write.mode('overwrite').saveAsTable('lake.shop_gold.twice')\n"
        "orders.select('id', 'name', F.lit(0)).write.insertInto('lake.shop_gold.twice')\n"
        "assert spark.catalog.tableExists(tableName='lake.shop_gold.twice')\n"
        "assert not spark.catalog.tableExists('lake.shop_gold.thrice')\n"
        "spark.catalog.setCurrentCatalog('lake')\n"
        "assert spark.table('shop_gold.twice').count() == 6\n"
        "spark.catalog.setCurrentDatabase('shop_gold')\n"
        "assert spark.sql('SELECT * FROM twice').count() == 6",
        "%sql\nSELECT max(twice) AS most FROM lake.shop_gold.twice WHERE id >= :least",
        "dbutils.jobs.taskValues.set('rows', _sqldf.collect()[0]['most'])",
    ),
    "src/script.py": """\
import sys

from pyspark.sql import SparkSession

spark = SparkSession.builder.getOrCreate()
rows = spark.sql("SELECT * FROM lake.shop_gold.twice WHERE twice > 0")
assert rows.count() == 3
assert sys.argv[1:] == ["8"]
rows.write.mode("append").saveAsTable("lake.shop_gold.copy")
""",
    "src/last.sql": "SELECT count(*) AS n, sum(twice) AS s FROM lake.shop_gold.copy",
    "src/lost.sql": "SELECT 1;\n\nSELECT * FROM lake.shop_gold.lost",
    "src/typo.sql": "SELECT 1;\n\nSELECT nope\nFROM range(3)",
    "src/cell.py": "# Databricks notebook source\n\n# COMMAND ----------\n\n# MAGIC %sql\n"
    "# MAGIC SELECT nope FROM range(3)\n",
    "src/call.py": "# Databricks notebook source\nrows = spark.range(3)\n\n"
    "rows.select('nope').collect()\n",
    "src/edges.py": """\
def refused(call, text):
    try:
        call()
    except Exception as error:
        assert text in str(error), error
    else:
        raise AssertionError(text)


name = "lake.shop_gold.edges"
rows = spark.range(2).selectExpr("id", "'a' AS name")
rows.write.saveAsTable(name)
refused(lambda: rows.write.saveAsTable(name), "the table exists; give a mode")
rows.write.mode("ignore").saveAsTable(name)
assert spark.table(name).count() == 2
rows.write.saveAsTable(name, mode="append")
assert spark.table(name).count() == 4
rows.write.insertInto(name, overwrite=True)
assert spark.table(name).count() == 2
refused(lambda: rows.write.saveAsTable("edges"), "given edges, expected CATALOG.SCHEMA.TABLE")
refused(lambda: spark.sql(f"CREATE TABLE {name} AS SELECT 1"), "the table exists")
spark.sql(f"CREATE TABLE IF NOT EXISTS {name} AS SELECT 1")
assert spark.sql(f"SELECT * FROM {name}").columns == ["id", "name"]
refused(lambda: spark.sql(f"INSERT INTO {name} SELECT 1"), "given 1 columns, expected 2: id, name")
refused(lambda: spark.sql(f"DROP TABLE {name}"), "DROP of lake.shop_gold.edges does not run here")
spark.sql(f"GRANT SELECT ON TABLE {name} TO x")
assert spark.sql(f"DESCRIBE {name}").collect()[0][0] == "id"
assert spark.sql(f"SELECT * FROM {name} WHERE id = :id", args={"id": 1}).count() == 1
assert spark.sql("SELECT * FROM {rows}", rows=rows).count() == 2
rows.createOrReplaceTempView("some")
assert spark.table("some").count() == spark.sql("SELECT * FROM some").count() == 2
""",
    "src/parts.py": """\
from lakehouse.engine import Engine, Tables
from lakehouse.engine.stores import Folders, Location

tables = Tables("lake", {"gold": "shop_gold"})
rows = spark.sql("SELECT DATE'2026-01-02' AS day, 1 AS n")
Folders(tables.spark, "lake").write(rows, Location("shop_gold", "parts", "day"), "replace")
assert spark.table("lake.shop_gold.parts").columns == ["day", "n"]
spark.sql("DELETE FROM lake.shop_gold.parts")
""",
}


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with the lakehouse's own package, in a folder that is not plain ASCII."""
    root = tmp_path_factory.mktemp("run") / "demo ü"
    for name, text in FILES.items():
        file = root / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
    (root / "src/lakehouse").symlink_to(TEMPLATE / "src/lakehouse", target_is_directory=True)
    return root


@pytest.fixture(scope="module")
def tasks(root: Path) -> dict[str, Any]:
    """What a run says of each task."""
    path = os.pathsep.join(map(str, (TOOL, TEMPLATE / "src")))
    environment = {**os.environ, "PYTHONPATH": path, "LAKEHOUSE_ENGINE": "embedded"}
    result = subprocess.run(
        [sys.executable, "-B", "-m", "delivery", "run", "shop", "--output", "json"],
        cwd=root,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert result.returncode == 1, result.stderr
    return {task["task"]: task for task in json.loads(result.stdout)["tasks"]}


def changes(task: dict[str, Any]) -> list[tuple[str, int]]:
    return [(change["table"], change["rows"]) for change in task["changes"]]


def test_a_file_of_sql_reads_and_writes_tables_by_name(tasks: dict[str, Any]) -> None:
    made = tasks["make"]
    assert (made["state"], made["reason"]) == ("success", None)
    assert changes(made) == [
        ("shop_gold.orders", 3),
        ("shop_gold.days", 0),
        ("shop_gold.days", 1),
        ("shop_gold.days", 2),
    ]
    assert made["text"].splitlines() == ["id  name  n", "2   B     2", "4   lake  2"]


def test_a_notebook_finds_session_tables_and_parameters(tasks: dict[str, Any]) -> None:
    look = tasks["look"]
    assert (look["state"], look["reason"]) == ("success", None)
    assert changes(look) == [("shop_gold.twice", 3), ("shop_gold.twice", 6)]


def test_a_script_finds_the_session_and_values_of_tasks(tasks: dict[str, Any]) -> None:
    script = tasks["script"]
    assert (script["state"], script["reason"]) == ("success", None)
    assert changes(script) == [("shop_gold.copy", 3)]
    assert tasks["last"]["text"].splitlines() == ["n  s", "3  14"]


def test_names_mean_what_they_mean_to_spark(tasks: dict[str, Any]) -> None:
    edges = tasks["edges"]
    assert (edges["state"], edges["reason"]) == ("success", None)
    assert changes(edges) == [("shop_gold.edges", rows) for rows in (2, 4, 2)]


def test_a_table_that_was_not_written_here_is_told(tasks: dict[str, Any]) -> None:
    assert tasks["lost"]["reason"] == (
        "src/lost.sql:3: given lake.shop_gold.lost, expected a table that was written on this "
        "machine; first run the job that writes it"
    )


@pytest.mark.parametrize(
    ("task", "place"),
    [("typo", "src/typo.sql:3: "), ("cell", "cell.py:6: "), ("call", "src/call.py:4: ")],
)
def test_what_the_engine_says_has_the_line_of_its_statement(
    tasks: dict[str, Any], task: str, place: str
) -> None:
    assert tasks[task]["reason"].startswith(place)
    assert "nope" in tasks[task]["reason"]


def test_a_table_with_partitions_is_read_by_name_and_not_written(tasks: dict[str, Any]) -> None:
    assert tasks["parts"]["reason"] == (
        "src/parts.py:8: lake.shop_gold.parts was written through lakehouse.engine.Tables; write "
        "it only there"
    )
