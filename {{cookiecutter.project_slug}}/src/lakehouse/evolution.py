"""Brings a changed contract to its table, once in each environment.

A table whose columns, types, key, partition or rules changed is computed anew from bronze, in one
write. This module decides which columns stay, and brings what rows do not have: comments, tags,
constraints and clustering, by statements of Unity Catalog. `ops.runs` records them with the run. A
run that was interrupted before runs them again, which has no further effect.
"""

import hashlib
import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import replace

from lakehouse import runs
from lakehouse.contract import Contract
from lakehouse.engine import Tables
from lakehouse.runs import Run

_NO_KEY = "DROP PRIMARY KEY IF EXISTS"
_TABLE = "{}"  # in a statement, where the table's name belongs


def drops_columns(contract: Contract, last: Run | None) -> bool:
    """Whether a rebuild drops the columns that the contract does not have.

    Only a new major version does. Otherwise they stay, and are NULL in new rows: a release that is
    rolled back to leaves the columns that a later one has added.
    """
    return last is not None and _major(contract.version) > _major(last.version)


def apply(tables: Tables, run: Run, last: Run | None, *, replaced: bool) -> Run:
    """Run the statements that give the table what its contract says besides its rows.

    Args:
        run: what has been done to the table.
        last: the last run before.
        replaced: whether its columns were replaced; then it has lost what statements gave it.

    Returns:
        `run`, with what it has applied.
    """
    contract = tables.contract(run.table)
    now = metadata(contract)
    digest = hashlib.sha256(json.dumps(now).encode()).hexdigest()[:16]
    run = replace(run, version=contract.version, metadata=digest)
    known = last.metadata if last is not None and not replaced else ""
    if known == digest:
        return run
    before = runs.last_applied(tables, run.table) if known else {}
    tables.alter(list(statements(before, now, tables.identifier(run.table))))
    return replace(run, applied=json.dumps(now))


def statements(before: dict[str, str], now: dict[str, str], identifier: str) -> Iterator[str]:
    """The statements from one `metadata` to another: first those that undo.

    Args:
        identifier: the name of the table in SQL.
    """
    # A key is not replaced by another one: it is dropped first.
    other = {undo for undo in before if undo.endswith(_NO_KEY) and before[undo] != now.get(undo)}
    undone = [undo for undo in reversed(before) if undo not in now or undo in other]
    done = [do for undo, do in now.items() if before.get(undo) != do]
    for statement in (*undone, *done):
        yield statement.replace(_TABLE, identifier, 1)


def metadata(contract: Contract) -> dict[str, str]:
    """What the contract says of its table besides its rows.

    Returns:
        The statement that brings each comment, tag or constraint, by the one that undoes it.
    """
    alter = f"ALTER TABLE {_TABLE}"
    found: dict[str, str] = {}
    if contract.description:
        comment = f"COMMENT ON TABLE {_TABLE} IS"
        found[f"{comment} NULL"] = f"{comment} {_text(contract.description)}"
    found |= _tags(alter, contract.tags)
    for column in contract.columns:
        alter_column = f"{alter} ALTER COLUMN `{column.name}`"
        if column.description:
            found[f"{alter_column} COMMENT ''"] = (
                f"{alter_column} COMMENT {_text(column.description)}"
            )
        found |= _tags(alter_column, column.tags)
        if column.required or column.name in contract.key:
            found[f"{alter_column} DROP NOT NULL"] = f"{alter_column} SET NOT NULL"
    if contract.key:
        constraint = contract.name.partition(".")[2] + "_pk"
        key = ", ".join(f"`{name}`" for name in contract.key)
        found[f"{alter} {_NO_KEY}"] = f"{alter} ADD CONSTRAINT `{constraint}` PRIMARY KEY ({key})"
    if contract.partition:
        found[f"{alter} CLUSTER BY NONE"] = f"{alter} CLUSTER BY (`{contract.partition}`)"
    return found


def _tags(alter: str, tags: Iterable[str]) -> dict[str, str]:
    found = {}
    for tag in tags:
        key, _, value = (part.strip() for part in tag.partition(":"))
        name = _text(key)
        found[f"{alter} UNSET TAGS ({name})"] = f"{alter} SET TAGS ({name} = {_text(value)})"
    return found


def _text(value: str) -> str:
    """A text in SQL."""
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"


def _major(version: str) -> int:
    found = re.match(r"\d+", version)
    return int(found[0]) if found else 0
