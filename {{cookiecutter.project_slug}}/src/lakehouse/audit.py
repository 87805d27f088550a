"""Proves the account of all history: `make audit`.

Every table of silver and gold is computed from all of bronze and compared with the stored one. The
daily run only looks at what is new; this shows that it has lost, doubled or changed nothing.
"""

import importlib
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from lakehouse import quality
from lakehouse.engine import Tables
from lakehouse.engine.files import ROW
from lakehouse.engine.landing import FILE
from lakehouse.engine.stores import project_root
from lakehouse.refine import CHANGED
from lakehouse.rollup import Gold

LAYERS = ("bronze", "silver", "gold", "ops")
Prepare = Callable[[DataFrame], DataFrame]


@dataclass(frozen=True)
class Proof:
    """One table: the rows that should be there and are not, and the other way round."""

    table: str
    rows: int
    missing: int
    unexpected: int

    @property
    def holds(self) -> bool:
        """Whether the stored rows are the computed ones."""
        return not (self.missing or self.unexpected)

    def __str__(self) -> str:
        if self.holds:
            return f"{self.table}: {self.rows:,} rows ✓"
        return f"{self.table}: {self.missing:,} missing, {self.unexpected:,} unexpected ✗"


def audit(
    tables: Tables, sources: Mapping[str, Prepare | None], facts: list[Gold]
) -> Iterator[Proof]:
    """Compute every table of the domain from all of bronze, and compare it with the stored one.

    Args:
        sources: the tables of silver, with what `refine` prepares them with.
        facts: the tables of gold.
    """
    for source, prepare in sources.items():
        raw = tables.read(f"bronze.{source}")
        typed = quality.read_as(raw, tables.contract(f"landing.{source}").types)
        contract = tables.contract(f"silver.{source}")
        judged = quality.judge(prepare(typed) if prepare else typed, contract)
        yield _compare(tables, f"silver.{source}", judged.valid)
        # What supersedes a row may be invalid by today's reference data: only the rows count.
        yield _compare(tables, f"silver.{source}_superseded", judged.older.select(FILE, ROW))
        yield _compare(tables, f"silver.{source}_quarantine", judged.quarantined)
    for fact in facts:
        yield _compare(tables, fact.name, fact.compute(tables.read(fact.source)))


def _compare(tables: Tables, name: str, expected: DataFrame) -> Proof:
    stored = tables.read(name) if tables.exists(name) else expected.limit(0)
    columns = [column for column in expected.columns if column != CHANGED]
    for column in set(columns) - set(stored.columns):  # bronze has had a new column since
        stored = stored.withColumn(column, F.lit(None).cast("string"))
    signed = expected.select(*columns, F.lit(1).alias("_sign")).union(
        stored.select(*columns, F.lit(-1).alias("_sign"))
    )
    surplus = signed.groupBy(*map(F.col, columns)).agg(F.sum("_sign").alias("_surplus"))
    missing, unexpected = surplus.agg(
        F.sum(F.expr("greatest(_surplus, 0)")), F.sum(F.expr("greatest(-_surplus, 0)"))
    ).collect()[0]
    return Proof(name, tables.count(name), missing or 0, unexpected or 0)


def main() -> int:
    """Audit each domain that has been run on this machine."""
    proofs: list[Proof] = []
    for catalog in sorted((project_root() / ".lakehouse").glob("*")):
        for domain in sorted({p.name.removesuffix("_ops") for p in catalog.glob("*_ops")}):
            tasks = _tasks_of(domain)
            if tasks is None:
                print(f"{domain}: not audited: no such domain; make clean removes its tables")
                continue
            schemas = {layer: f"{domain}_{layer}" for layer in LAYERS}
            tables = Tables(catalog.name, schemas, domain)
            found = tasks.audit(tables)
            proofs += found
            print("\n".join(map(str, found)), flush=True)
    if not proofs:
        print("audit: no tables on this machine; expected those of a run: make run")
    return 0 if proofs and all(proof.holds for proof in proofs) else 1


def _tasks_of(domain: str) -> Any:
    """The module of a domain's tasks; None if the domain was removed."""
    name = f"lakehouse.{domain}.tasks"
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name not in (name, f"lakehouse.{domain}"):
            raise
        return None


if __name__ == "__main__":
    sys.exit(main())
