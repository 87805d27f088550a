"""From bronze to silver: applies the rules, and accounts for every row."""

from dataclasses import dataclass

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from lakehouse import quality
from lakehouse.engine import Change, Tables


@dataclass(frozen=True)
class Account:
    """The number of rows of one bronze table in each place; each is counted separately."""

    landed: int
    silver: int
    quarantined: int
    superseded: int
    warned: int

    @property
    def balanced(self) -> bool:
        """Whether every landed row is in exactly one place."""
        return self.landed == self.silver + self.quarantined + self.superseded

    def __str__(self) -> str:
        return (
            f"{self.landed:,} landed = {self.silver:,} silver + {self.quarantined:,} quarantined "
            f"+ {self.superseded:,} superseded {'✓' if self.balanced else '✗'}"
        )


def refine(
    tables: Tables, domain: str, table: str, rows: DataFrame
) -> tuple[list[Change], Account]:
    """Write `silver.<table>` and `silver.<table>_quarantine` from the rows that landed.

    Args:
        rows: all rows of `bronze.<table>`, as `quality.read_as` returns them.

    Raises:
        ValueError: a row was lost or counted twice during processing.
    """
    rules = quality.load_rules(domain, table)
    found = quality.sort_rows(rows, rules)
    silver = tables.upsert(f"silver.{table}", found.valid, rules.key)
    quarantine = tables.replace(f"silver.{table}_quarantine", found.quarantined)
    account = Account(
        landed=tables.read(f"bronze.{table}").count(),
        silver=silver.rows,
        quarantined=quarantine.rows,
        superseded=found.superseded.agg(F.sum("older")).collect()[0][0] or 0,
        warned=tables.read(f"silver.{table}").where("_warned <> ''").count(),
    )
    if not account.balanced:
        raise ValueError(f"{domain}.{table}: rows are not accounted for: {account}")
    return [silver, quarantine], account
