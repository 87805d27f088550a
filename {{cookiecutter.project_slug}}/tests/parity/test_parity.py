"""The same job on the embedded engine and on a JVM: every table must be equal.

`make parity` installs Spark for the JVM.
"""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parent
PROJECT = HERE.parents[1]
TABLES = [
    *(f"bronze.{name}" for name in ("airlines", "airports", "flights", "weather")),
    *(f"gold.{name}" for name in ("punctuality", "routes", "weather_delay")),
    *(f"silver.{name}" for name in ("airlines", "airports", "flights", "weather")),
    *(f"silver.{name}_quarantine" for name in ("airlines", "airports", "flights", "weather")),
]

pytestmark = pytest.mark.parity


def tables_of(engine: str, python: Path, folder: Path) -> dict[str, Any]:
    """All tables that `engine` produces in a separate process."""
    file = folder / f"{engine}.json"
    root = folder / engine
    root.mkdir()
    environment = {key: value for key, value in os.environ.items() if key != "SPARK_HOME"}
    environment |= {
        "LAKEHOUSE_ENGINE": engine,
        "LAKEHOUSE_ROOT": str(root),
        "PYTHONPATH": f"{PROJECT / 'src'}{os.pathsep}{PROJECT / 'tools/delivery/src'}",
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
    return tables_of("embedded", Path(sys.executable), tmp_path_factory.mktemp("embedded"))


@pytest.fixture(scope="module")
def jvm(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    python = PROJECT / ".venv-parity/bin/python"
    if not python.exists():
        pytest.skip("no .venv-parity: type make parity")
    return tables_of("jvm", python, tmp_path_factory.mktemp("jvm"))


def test_both_engines_make_these_tables(embedded: dict[str, Any], jvm: dict[str, Any]) -> None:
    assert sorted(embedded) == sorted(jvm) == sorted(TABLES)


@pytest.mark.parametrize("table", TABLES)
def test_names_types_and_rows_are_equal(
    embedded: dict[str, Any], jvm: dict[str, Any], table: str
) -> None:
    assert embedded[table]["types"] == jvm[table]["types"]
    assert embedded[table]["rows"] == jvm[table]["rows"]
