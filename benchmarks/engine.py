"""The year's flights on the embedded engine, compared with Spark with Delta on a local JVM."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

from benchmarks.errors import MissingError
from benchmarks.figures import Figure, Note, compare
from benchmarks.job import task_parameters
from benchmarks.measure import Command, Run, Side, alternate, progress, run
from benchmarks.workshop import Workshop, clean_environment

PART = "engine"
_JOB = "flights_daily"
_JVM_PACKAGES = "io.delta:delta-spark_2.13:4.0.0"
_JAVA_VERSION = 17  # the oldest version that Spark 4 supports


def measure(workshop: Workshop, pairs: int) -> Iterator[Figure | Note]:
    """Compare both engines, and the rows that they produced."""
    need_java()
    jvm, embedded = jvm_side(workshop), embedded_side(workshop)
    runs = list(alternate(jvm, embedded, pairs))
    yield from compare(PART, (jvm.name, embedded.name), runs)
    yield same_rows(PART, (jvm.name, embedded.name), runs)


def embedded_side(workshop: Workshop) -> Side:
    """The embedded engine, warmed up by a run on the week that the template contains."""
    project = workshop.project
    pyproject = str(project / "pyproject.toml")
    python = workshop.environment("embedded", "-r", pyproject, "--group", f"{pyproject}:local")
    return _side(workshop, "embedded", python, {})


def jvm_side(workshop: Workshop) -> Side:
    """Spark on a JVM, warmed up in the same way: the first run downloads Delta."""
    requirements = workshop.project / "tests/parity/requirements.txt"
    if not requirements.is_file():
        raise MissingError("the project has no tests/parity/requirements.txt")
    python = workshop.environment("jvm", "-r", str(requirements))
    return _side(workshop, "jvm", python, {"LAKEHOUSE_JVM_PACKAGES": _JVM_PACKAGES})


def same_rows(part: str, names: tuple[str, str], runs: list[tuple[Run, Run]]) -> Note:
    """Whether both sides produced the same number of rows in every table, in every pair."""
    for pair in runs:
        left, right = (row_counts(run) for run in pair)
        tables = sorted(left.keys() | right.keys())
        if different := [name for name in tables if left.get(name) != right.get(name)]:
            counts = [f"{name} {left.get(name)} / {right.get(name)}" for name in different]
            return Note(part, f"rows differ, {' / '.join(names)}: {', '.join(counts)}", ok=False)
    total = sum(row_counts(runs[0][0]).values())
    return Note(part, f"{' and '.join(names)} made equal row counts, {total:,} in all tables")


def row_counts(run: Run) -> dict[str, int]:
    """The number of rows of each table, from the last line that a pipeline prints."""
    counts: dict[str, int] = json.loads(run.output.splitlines()[-1])
    return counts


def need_java() -> None:
    """Raise `MissingError` unless a Java version that Spark supports is installed."""
    home = os.environ.get("JAVA_HOME")
    java = shutil.which("java", path=f"{home}/bin") if home else shutil.which("java")
    if not java:
        raise MissingError(f"no Java {_JAVA_VERSION} or newer: no `java` is installed")
    asked = subprocess.run([java, "-version"], capture_output=True, text=True, check=False)
    version = re.search(r'version "(\d+)', asked.stderr + asked.stdout)
    if not version or int(version[1]) < _JAVA_VERSION:
        found = version[1] if version else "no answer"
        raise MissingError(f"no Java {_JAVA_VERSION} or newer: `java -version` says {found}")


def _side(workshop: Workshop, engine: str, python: Path, settings: dict[str, str]) -> Side:
    progress(f"  {engine}: warming up")
    settings |= {"LAKEHOUSE_ENGINE": engine, "PYTHONPATH": str(workshop.project / "src")}
    settings |= {"PYSPARK_PYTHON": str(python)}
    _pipeline(workshop, python, settings, workshop.project / "data/flights/landing")
    return Side(engine, lambda: _pipeline(workshop, python, settings, workshop.year))


def _pipeline(workshop: Workshop, python: Path, settings: dict[str, str], landing: Path) -> Run:
    """Run the job's tasks in an empty root that contains only the files of `landing`."""
    parameters = json.dumps(task_parameters(workshop.project, _JOB))
    script = workshop.template / "benchmarks/pipeline.py"
    with workshop.new_root(landing) as root:
        environment = clean_environment(**settings, LAKEHOUSE_ROOT=str(root))
        # -P: modules beside the script must not replace packages of the same name
        return run(Command((str(python), "-P", str(script), parameters), root, environment))
