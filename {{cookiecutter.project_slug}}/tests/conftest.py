"""Fixtures of all tests: one embedded engine, a separate lakehouse for each test, and a domain."""

import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from domain import PACKAGE, SCHEMAS
from pyspark.sql import SparkSession

from lakehouse import contract
from lakehouse.engine import Engine, Tables
from lakehouse.engine import session as start

os.environ.setdefault("SPARK_HOME", "/none")  # without it, a failing comparison ends pytest itself


@pytest.fixture(scope="session")
def spark() -> SparkSession:
    return start(Engine.EMBEDDED)


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty project root."""
    monkeypatch.setenv("LAKEHOUSE_ROOT", str(tmp_path))
    return tmp_path


@pytest.fixture
def contracts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The folder of the contracts of the domain `orders`; a test may change them."""
    folder = tmp_path / "package" / "orders" / "contracts"
    shutil.copytree(PACKAGE, tmp_path / "package")
    monkeypatch.setattr(contract, "files", lambda package: tmp_path / "package")
    contract.find_contract.cache_clear()
    yield folder
    contract.find_contract.cache_clear()


@pytest.fixture
def edit(contracts: Path) -> Callable[[str, str, str], None]:
    """Replace a text in a contract."""

    def replace(name: str, old: str, new: str) -> None:
        file = contracts / f"{name}.yml"
        text = file.read_text(encoding="utf-8")
        assert text.count(old) == 1, f"{name}: given {text.count(old)} times {old!r}"
        file.write_text(text.replace(old, new), encoding="utf-8")
        contract.find_contract.cache_clear()

    return replace


@pytest.fixture
def tables(root: Path, contracts: Path) -> Tables:
    return Tables("acme_dev", SCHEMAS, "orders", Engine.EMBEDDED)


@pytest.fixture
def new_york(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """This machine is in New York."""
    with monkeypatch.context() as patch:
        patch.setenv("TZ", "America/New_York")
        time.tzset()
        yield
    time.tzset()


ROOT = Path(__file__).resolve().parents[1]
SINCE = os.environ.get("SINCE", "")  # a git commit


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Skip the tests of domains that have not changed since `SINCE`."""
    domains = {folder.name for folder in ROOT.glob("resources/*")}
    untouched = domains - touched(domains, changed_files()) if SINCE else set()
    left_out = [item for item in items if domain_of(item.path.name, untouched)]
    config.hook.pytest_deselected(items=left_out)
    items[:] = [item for item in items if item not in left_out]


def touched(domains: set[str], changed: list[str] | None) -> set[str]:
    """The domains of the changed files; all domains, if a file belongs to none."""
    found = set()
    for name in changed or ():
        path = Path(name)
        folders = {*path.parts[:-1]} & domains if path.parts[0] != "tests" else set()
        domain = next(iter(folders), "") or domain_of(path.name, domains)
        if not domain:
            return domains
        found.add(domain)
    return domains if changed is None else found


def changed_files() -> list[str] | None:
    """The files that differ from `SINCE`; None if git does not have that commit."""
    command = ["git", "diff", "--name-only", "--merge-base", SINCE]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    return result.stdout.splitlines() if result.returncode == 0 else None


def domain_of(name: str, domains: set[str]) -> str:
    """The domain that a file tests, such as flights for `test_flights_rules.py`; or empty."""
    stem = name.removeprefix("test_").removesuffix(".py")
    known = (domain for domain in domains if name.startswith("test_"))
    return next((d for d in known if stem == d or stem.startswith(f"{d}_")), "")
