"""Runs the pipeline of a domain with open-source Spark's `spark-pipelines`.

Sources: https://spark.apache.org/docs/latest/declarative-pipelines-programming-guide.html
"""

import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

HERE = Path(__file__).parent
PROJECT = HERE.parents[1]
PROGRAMS = PROJECT / ".venv-pipelines/bin"
CONFIGURATION = """\
spark.sql.catalogImplementation hive
spark.sql.shuffle.partitions 2
spark.ui.enabled false
"""
DEFINITIONS = """\
import databricks_only

databricks_only.install()
import lakehouse.{domain}.pipeline
"""
_SCHEMA = re.compile(r"\$\{resources\.schemas\.(\w+)\.name\}")


@dataclass(frozen=True)
class Table:
    """A table after an update: the types of its columns, and its rows, sorted."""

    types: dict[str, str]
    rows: list[dict[str, Any]]

    def columns(self, *names: str) -> list[tuple[Any, ...]]:
        """Some columns of all rows."""
        return sorted(tuple(row[name] for name in names) for row in self.rows)


def update(domain: str, folder: Path, *later: Mapping[str, str]) -> Iterator[dict[str, Table]]:
    """Run the pipeline on the domain's sample; then once more after each of the files of `later`.

    Args:
        folder: an empty folder, where its tables are.
        later: the files that land before each further update, by their path below the folder of
            landing files, such as `orders/2024-01-03.csv`.

    Yields:
        All tables after an update, such as `silver.orders`.
    """
    if not PROGRAMS.is_dir():
        pytest.skip("no .venv-pipelines: type make parity")
    landing = folder / "landing"
    shutil.copytree(PROJECT / "data" / domain / "landing", landing)
    schemas = _prepare(domain, folder, landing)
    _run(folder, "python", str(HERE / "pipeline_tables.py"), "create", *schemas)
    for files in ({}, *later):
        for name, text in files.items():
            (landing / name).write_text(text, encoding="utf-8")
        # Streams of open-source Spark may begin before the table that they read has the new rows.
        for _ in range(2 if files else 1):
            _run(folder, "spark-pipelines", "run")
        yield _tables(domain, folder, schemas)


def _prepare(domain: str, folder: Path, landing: Path) -> list[str]:
    """Write the files of `spark-pipelines`; the names of the schemas."""
    resources: dict[str, dict[str, Any]] = {}
    for file in sorted((PROJECT / "resources" / domain).glob("*.yml")):
        for kind, found in yaml.safe_load(file.read_text(encoding="utf-8"))["resources"].items():
            resources.setdefault(kind, {}).update(found)
    schemas = {key: schema["name"] for key, schema in resources["schemas"].items()}
    [pipeline] = resources["pipelines"].values()
    settings = {
        name: _SCHEMA.sub(lambda found: schemas[found[1]], value)
        for name, value in pipeline["configuration"].items()
    }
    spec = {
        "name": pipeline["name"],
        "storage": (folder / "storage").as_uri(),
        "database": _SCHEMA.sub(lambda found: schemas[found[1]], pipeline["schema"]),
        "libraries": [{"glob": {"include": "definitions.py"}}],
        "configuration": {
            name: str(landing) if value.startswith("/Volumes/") else value
            for name, value in settings.items()
        },
    }
    (folder / "spark-pipeline.yml").write_text(yaml.safe_dump(spec), encoding="utf-8")
    (folder / "definitions.py").write_text(DEFINITIONS.format(domain=domain), encoding="utf-8")
    (folder / "spark-defaults.conf").write_text(CONFIGURATION, encoding="utf-8")
    return list(schemas.values())


def _tables(domain: str, folder: Path, schemas: list[str]) -> dict[str, Table]:
    file = folder / "tables.json"
    _run(folder, "python", str(HERE / "pipeline_tables.py"), "dump", str(file), *schemas)
    found = json.loads(file.read_text(encoding="utf-8"))
    return {
        name.removeprefix(f"{domain}_"): Table(table["types"], sorted(table["rows"], key=str))
        for name, table in found.items()
    }


def _run(folder: Path, program: str, *arguments: str) -> None:
    environment = {key: value for key, value in os.environ.items() if key != "SPARK_HOME"}
    environment |= {
        "PATH": f"{PROGRAMS}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": os.pathsep.join([str(PROJECT / "src"), str(HERE)]),
        "PYSPARK_PYTHON": str(PROGRAMS / "python"),
        "SPARK_CONF_DIR": str(folder),
    }
    result = subprocess.run(
        [PROGRAMS / program, *arguments],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, f"{result.stdout[-2000:]}\n{result.stderr[-4000:]}"
