"""A task's report: the changed tables, and a short text."""

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Change:
    """The effect of one write on one table.

    Attributes:
        table: `layer.table`.
        rows: rows in the table afterwards.
        inserted, updated, deleted: the number of rows that the write changed; if all are zero,
            nothing was written and the table has no new version.
        note: what else is to be known, such as why the table was rebuilt.
        replaced: whether the table was written with other columns than it had.
    """

    table: str
    rows: int
    inserted: int = 0
    updated: int = 0
    deleted: int = 0
    note: str = ""
    replaced: bool = field(default=False, compare=False)

    @property
    def changed(self) -> bool:
        """Whether the write created a new version of the table."""
        return bool(self.inserted or self.updated or self.deleted)

    def __str__(self) -> str:
        if not self.changed:
            return f"{self.table}: unchanged, {self.rows:,} rows{self._note()}"
        counts = {"+": self.inserted, "~": self.updated, "-": self.deleted}
        touched = " ".join(f"{sign}{count:,}" for sign, count in counts.items() if count)
        return f"{self.table}: {touched}, now {self.rows:,} rows{self._note()}"

    def _note(self) -> str:
        return f" ({self.note})" if self.note else ""


@dataclass(frozen=True)
class Report:
    """The result of a task: its changes, and text to show."""

    changes: tuple[Change, ...]
    text: str = ""

    def __str__(self) -> str:
        return "\n".join([*map(str, self.changes), *([self.text] if self.text else [])])
