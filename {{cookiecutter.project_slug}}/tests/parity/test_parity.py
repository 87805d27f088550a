"""The same work on the embedded engine and on a JVM: every table must be equal.

`make parity` installs Spark for the JVM, and prints the outcome of each landing case.
"""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import evolution_steps
import landing_matrix
import pytest

HERE = Path(__file__).parent
PROJECT = HERE.parents[1]
SOURCES = ("airlines", "airports", "flights", "weather")
TABLES = [
    *(f"bronze.{name}" for name in SOURCES),
    *(f"gold.{name}" for name in ("punctuality", "routes", "weather_delay")),
    "ops.files",
    "ops.runs",
    *(f"silver.{name}{kind}" for name in SOURCES for kind in ("", "_quarantine", "_superseded")),
]
STEPS = ("first load", "nothing new", "late file", "full refresh")
SOURCES_OF_CODE = ("src", "tools/delivery/src", "tests")
LOADS = ("first_load", "later_load")

pytestmark = pytest.mark.parity


def dump_of(engine: str, python: Path, folder: Path) -> dict[str, Any]:
    """What `engine` produces in a separate process."""
    file = folder / f"{engine}.json"
    root = folder / engine
    root.mkdir()
    environment = {key: value for key, value in os.environ.items() if key != "SPARK_HOME"}
    environment |= {
        "LAKEHOUSE_ENGINE": engine,
        "LAKEHOUSE_ROOT": str(root),
        "PYTHONPATH": os.pathsep.join(str(PROJECT / part) for part in SOURCES_OF_CODE),
        "PYSPARK_PYTHON": str(python),
    }
    command = [python, HERE / "dump_tables.py", file]
    result = subprocess.run(
        command, cwd=PROJECT, env=environment, capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr[-3000:]
    found: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    return found


@pytest.fixture(scope="module")
def embedded(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return dump_of("embedded", Path(sys.executable), tmp_path_factory.mktemp("embedded"))


@pytest.fixture(scope="module")
def jvm(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    python = PROJECT / ".venv-parity/bin/python"
    if not python.exists():
        pytest.skip("no .venv-parity: type make parity")
    return dump_of("jvm", python, tmp_path_factory.mktemp("jvm"))


@pytest.mark.parametrize("step", STEPS)
def test_both_engines_make_these_tables(
    embedded: dict[str, Any], jvm: dict[str, Any], step: str
) -> None:
    assert sorted(embedded["sample"][step]) == sorted(jvm["sample"][step]) == sorted(TABLES)


@pytest.mark.parametrize("table", TABLES)
@pytest.mark.parametrize("step", STEPS)
def test_names_types_and_rows_are_equal(
    embedded: dict[str, Any], jvm: dict[str, Any], step: str, table: str
) -> None:
    one, other = embedded["sample"][step][table], jvm["sample"][step][table]
    assert one["types"] == other["types"]
    assert one["rows"] == other["rows"]


def test_the_account_of_all_history_holds(embedded: dict[str, Any], jvm: dict[str, Any]) -> None:
    assert embedded["audit"] == jvm["audit"]
    assert [proof for proof in jvm["audit"] if not proof.endswith("✓")] == []


def test_landing_files_have_the_same_outcome(
    embedded: dict[str, Any], jvm: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    with capsys.disabled():
        print(f"\n{landing_matrix.table({'embedded': embedded['landing'], 'jvm': jvm['landing']})}")
    assert sorted(embedded["landing"]) == sorted(jvm["landing"])
    for state, found in embedded["landing"].items():
        assert found == jvm["landing"][state], state


@pytest.mark.parametrize("case", landing_matrix.CASES)
@pytest.mark.parametrize("load", LOADS)
def test_a_landing_file_has_its_stated_outcome(jvm: dict[str, Any], load: str, case: str) -> None:
    outcome = landing_matrix.outcomes(jvm["landing"][f"{load}, landed"])[case]
    assert outcome.startswith(landing_matrix.CASES[case].outcome)
    again = landing_matrix.outcomes(jvm["landing"][f"{load}, again"])[case]
    assert again.startswith(landing_matrix.CASES[case].again or outcome)


@pytest.mark.parametrize("release", evolution_steps.RELEASES)
def test_a_release_with_other_contracts_leaves_the_same_tables(
    embedded: dict[str, Any], jvm: dict[str, Any], release: str
) -> None:
    one, other = embedded["evolution"][release], jvm["evolution"][release]
    assert one == other
    assert [proof for proof in other["audit"] if not proof.endswith("✓")] == []
    assert other["reasons"][1] == ""  # the second day of a release is only its own
