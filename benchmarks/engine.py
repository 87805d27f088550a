"""The year's flights on the embedded engine, compared with Spark with Delta on a local JVM."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from benchmarks.errors import MissingError
from benchmarks.figures import Figure, Note, compare
from benchmarks.job import task_parameters
from benchmarks.measure import Command, Run, Side, alternate, progress, run
from benchmarks.workshop import Workshop, clean_environment

PART = "engine"
Job = Callable[[Path], Run]  # runs the job in a root with landing files
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
    return _side(workshop, "embedded", embedded_engine(workshop))


def jvm_side(workshop: Workshop) -> Side:
    """Spark on a JVM, warmed up in the same way: the first run downloads Delta."""
    return _side(workshop, "jvm", jvm_engine(workshop))


def embedded_engine(workshop: Workshop) -> Job:
    """The job on the embedded engine."""
    pyproject = str(workshop.project / "pyproject.toml")
    python = workshop.environment("embedded", "-r", pyproject, "--group", f"{pyproject}:local")
    return partial(_pipeline, workshop, python, {"LAKEHOUSE_ENGINE": "embedded"})


def jvm_engine(workshop: Workshop) -> Job:
    """The job on Spark with Delta on a local JVM.

    Raises:
        MissingError: the project does not say what the JVM needs.
    """
    requirements = workshop.project / "tests/parity/requirements.txt"
    if not requirements.is_file():
        raise MissingError("the project has no tests/parity/requirements.txt")
    python = workshop.environment("jvm", "-r", str(requirements))
    settings = {"LAKEHOUSE_ENGINE": "jvm", "LAKEHOUSE_JVM_PACKAGES": _JVM_PACKAGES}
    return partial(_pipeline, workshop, python, settings)


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


def _side(workshop: Workshop, engine: str, job: Job) -> Side:
    progress(f"  {engine}: warming up")
    with workshop.new_root(workshop.project / "data/flights/landing") as root:
        job(root)
    return Side(engine, lambda: _year(workshop, job))


def _year(workshop: Workshop, job: Job) -> Run:
    with workshop.new_root(workshop.year) as root:
        return job(root)


def _pipeline(workshop: Workshop, python: Path, settings: dict[str, str], root: Path) -> Run:
    """Run the job's tasks on the landing files of `root`."""
    parameters = json.dumps(task_parameters(workshop.project, _JOB))
    script = workshop.template / "benchmarks/pipeline.py"
    sources = {"PYTHONPATH": str(workshop.project / "src"), "PYSPARK_PYTHON": str(python)}
    environment = clean_environment(**settings, **sources, LAKEHOUSE_ROOT=str(root))
    # -P: modules beside the script must not replace packages of the same name
    return run(Command((str(python), "-P", str(script), parameters), root, environment))
