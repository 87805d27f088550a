"""What all tests share: one embedded engine, and a lakehouse of its own for each test."""

import os
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from lakehouse.engine import Engine, Tables
from lakehouse.engine import session as start

os.environ.setdefault("SPARK_HOME", "/none")  # without it a failing comparison ends pytest itself

SCHEMAS = {"bronze": "flights_bronze", "silver": "flights_silver", "gold": "flights_gold"}


@pytest.fixture(scope="session")
def spark() -> SparkSession:
    return start(Engine.EMBEDDED)


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty project root."""
    monkeypatch.setenv("LAKEHOUSE_ROOT", str(tmp_path))
    return tmp_path


@pytest.fixture
def tables(root: Path) -> Tables:
    return Tables("acme_dev", SCHEMAS, Engine.EMBEDDED)
