"""Compares the data contracts of a release with those of the running release.

A contract that changes is a migration, which the jobs carry out: most changes compute a table anew,
and statements bring what rows do not have, such as comments. Jobs drop a column only if the major
version of its contract is higher than before.
"""

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from delivery.config.target import Target
from delivery.errors import DeliveryError
from delivery.plan.candidate import Candidate
from delivery.plan.contracts import EMPTY, Contract, identifier, read_contracts, statements
from delivery.plan.model import (
    EFFECTS,
    NEW_TABLE,
    ContractChange,
    Decision,
    Effect,
    TableChange,
)
from delivery.plan.snapshot import TargetSnapshot
from delivery.release import read_archive
from delivery.target.store import ReleaseStore

Contracts = Mapping[str, Contract | None]

# The types that have every value of another one.
_WIDER: Mapping[str, Collection[str]] = {
    "tinyint": ("smallint", "int", "bigint", "double"),
    "smallint": ("int", "bigint", "double"),
    "int": ("bigint", "double"),
    "float": ("double",),
    "date": ("timestamp_ntz",),
}
_DECIMAL = re.compile(r"decimal(?:\((\d+)(?:,(\d+))?\))?")


@dataclass(frozen=True)
class TablePlan:
    """How a release changes the tables of its contracts.

    Attributes:
        kept: columns that tables have only because a rollback kept them, such as
            `flights.silver.flights.gate`.
        problems: why the changes are not known.
    """

    changes: tuple[TableChange, ...]
    kept: tuple[str, ...]
    problems: tuple[Decision, ...] = ()


class _Found(NamedTuple):
    effect: Effect
    what: str
    column: str = ""


def plan_tables(
    store: ReleaseStore, candidate: Candidate, snapshot: TargetSnapshot, is_rollback: bool
) -> TablePlan:
    """Compare the contracts of a release with those of the release that the target runs."""
    archive, running, kept = candidate.archive, snapshot.running, snapshot.detail("kept")
    files: Mapping[str, bytes] = {}
    if running and running.release == archive.manifest.release:
        return TablePlan((), tuple(kept))
    if running:
        try:
            stored = store.open_stored(running.release)
            stored.require(running.digest)
            files = read_archive(stored.content, stored.name)[1]
        except DeliveryError as error:
            reason = f"their changes are not known: {str(error).splitlines()[0]}"
            problem = Decision(key="tables", action="warn", reason=reason)
            return TablePlan((), tuple(kept), (problem,))
    before = read_contracts(files)
    after = read_contracts(read_archive(archive.content, archive.name)[1])
    return compare(before, after, candidate.target, kept, is_rollback)


def compare(
    before: Contracts,
    after: Contracts,
    target: Target,
    kept: Collection[str] = (),
    is_rollback: bool = False,
) -> TablePlan:
    """The changes from some contracts to others.

    Args:
        kept: see `TablePlan`.
        is_rollback: `after` is of an earlier release; jobs then destroy nothing.
    """
    tables: list[TableChange] = []
    left = {*kept}
    for name in sorted({*before, *after}):
        _, layer, table = name.split(".")
        old, new = before.get(name), after.get(name)
        if layer == "landing":
            continue
        if not (old and new):
            found = [*_whole_change(name, before, after, is_rollback)]
            tables += [_table_change(name, found, is_major=new is None)] if found else []
            continue
        landed = [*_landing_changes(name, before, after)]
        rebuilt = bool(landed) or _of_rows(old) != _of_rows(new)
        is_major = new.major > old.major and not is_rollback
        gone, left = _without_declaration(name, old, new, left, drops=is_major and rebuilt)
        found = [
            *_undeclared(gone, is_rollback),
            *_column_changes(old, new, is_rollback),
            *_changes(old, new, is_rollback),
            *landed,
        ]
        if found:
            is_same = _types(old) == _types(new) and not gone  # another schema has lost what it had
            done = statements(old if is_same else EMPTY, new, _identifier(target, name), table)
            tables.append(_table_change(name, found, done, rebuilt, is_major))
    return TablePlan(tuple(tables), tuple(sorted(left)))


def _without_declaration(
    name: str, old: Contract, new: Contract, kept: set[str], drops: bool
) -> tuple[set[str], set[str]]:
    """The columns of a table that the new contract takes from it, and what is kept after it."""
    held = {key for key in kept if key.rpartition(".")[0] == name}
    undeclared = {column for column in old.columns if column not in new.columns}
    extra = {key.rpartition(".")[2] for key in held} - {*new.columns}
    gone = undeclared | (extra if drops else set())
    left = kept - held
    left |= set() if drops else {f"{name}.{column}" for column in undeclared | extra}
    return gone, left


def _table_change(
    name: str,
    found: Iterable[_Found],
    statements: Iterable[str] = (),
    rebuilt: bool = False,
    is_major: bool = False,
) -> TableChange:
    changes = [
        ContractChange(key=f"tables.{name}{column and '.'}{column}", effect=effect, what=what)
        for effect, what, column in sorted(found, key=lambda change: -EFFECTS.index(change.effect))
    ]
    return TableChange(
        table=name,
        effect=changes[0].effect,
        changes=changes,
        statements=[*statements],
        rebuilt=rebuilt,
        is_major=is_major,
    )


def _identifier(target: Target, name: str) -> str:
    """The name of a table in SQL; such as `flights_silver.flights` if its schema is not known."""
    domain, layer, table = name.split(".")
    schema = target.tree.section("resources").section("schemas").section(f"{domain}_{layer}")
    names = [str(schema.get(field) or "<") for field in ("catalog_name", "name")]
    is_known = not any("<" in part for part in names)
    return identifier(*names, table) if is_known else f"{domain}_{layer}.{table}"


def _types(contract: Contract) -> list[tuple[str, str]]:
    return [(column.name, column.type) for column in contract.columns.values()]


def _of_rows(contract: Contract) -> tuple[object, ...]:
    """What the rows of a table depend on."""
    columns = [(c.name, c.type, c.required) for c in contract.columns.values()]
    return columns, contract.key, contract.partition, [*contract.rules.items()]


def _whole_change(
    name: str, before: Contracts, after: Contracts, is_rollback: bool
) -> Iterator[_Found]:
    """The change of a contract that one of the releases does not have, or cannot use."""
    if name not in before:
        yield _Found("safe", NEW_TABLE)
    elif name not in after:
        what = "its contract is removed: the table stays, and is no longer written"
        yield _Found("safe" if is_rollback else "destructive", what)
    elif before[name] or after[name]:
        release = "this release" if before[name] else "the running release"
        yield _Found("rewrite", f"the contract of {release} cannot be read")


def _undeclared(columns: Iterable[str], is_rollback: bool) -> Iterator[_Found]:
    """Columns that the contract no longer has."""
    for name in sorted(columns):
        if is_rollback:
            yield _Found("safe", f"column {name} stays, and is NULL in new rows", name)
        else:
            yield _Found("destructive", f"column {name} is dropped", name)


def _column_changes(old: Contract, new: Contract, is_rollback: bool) -> Iterator[_Found]:
    """How the columns differ that the contract has."""
    other: Effect = "rewrite" if is_rollback else "destructive"
    for name, column in new.columns.items():
        was = old.columns.get(name)
        if was is None and new.needs_value(name):
            yield _Found("rewrite", f"required column {name} is added ({column.type})", name)
        elif was is None:
            yield _Found("safe", f"column {name} is added ({column.type})", name)
        elif was.type != column.type:
            effect = "safe" if _is_wider(column.type, was.type) else other
            yield _Found(effect, f"column {name}: {was.type} → {column.type}", name)
        if was and column.required and not was.required:
            yield _Found("rewrite", f"column {name} becomes required", name)
        elif was and was.required and not column.required:
            yield _Found("safe", f"column {name} is no longer required", name)
    if [n for n in old.columns if n in new.columns] != [n for n in new.columns if n in old.columns]:
        yield _Found("rewrite", "columns in another order")


def _changes(old: Contract, new: Contract, is_rollback: bool) -> Iterator[_Found]:
    """How a contract changes apart from the names, the types and the order of its columns."""
    if old.key != new.key:
        key = " → ".join(", ".join(contract.key) or "none" for contract in (old, new))
        yield _Found("rewrite" if is_rollback else "destructive", f"key: {key}")
    if old.partition != new.partition:
        what = f"partition: {old.partition or 'none'} → {new.partition or 'none'}"
        yield _Found("rewrite" if old.partition and new.partition else "safe", what)
    for name in dict.fromkeys([*old.rules, *new.rules]):
        if old.rules.get(name) != new.rules.get(name):
            change = "changes" if name in old.rules else "is added"
            yield _Found("rewrite", f"rule {name} {change if name in new.rules else 'is removed'}")
    if old.rules == new.rules and [*old.rules] != [*new.rules]:
        yield _Found("rewrite", "rules in another order")
    both = [(c, old.columns[c.name]) for c in new.columns.values() if c.name in old.columns]
    described = ["the table"] if old.purpose != new.purpose else []
    described += [c.name for c, was in both if c.description != was.description]
    tagged = ["the table"] if old.tags != new.tags else []
    tagged += [c.name for c, was in both if c.tags != was.tags]
    for what, names in (("description", described), ("tags", tagged)):
        if names:
            yield _Found("safe", f"{what} of {', '.join(names)}")


def _landing_changes(name: str, before: Contracts, after: Contracts) -> Iterator[_Found]:
    """Changes of how a table of silver reads the texts in bronze."""
    domain, layer, table = name.split(".")
    landing = f"{domain}.landing.{table}" if layer == "silver" else ""
    contracts = before.get(landing), after.get(landing)
    old, new = (contract.columns if contract else {} for contract in contracts)
    for column in dict.fromkeys([*old, *new]):
        if column not in old:
            yield _Found("safe", f"landing column {column} is added ({new[column].type})")
        elif column not in new:
            yield _Found("rewrite", f"landing column {column} is removed")
        elif old[column].type != new[column].type:
            what = f"landing column {column}: {old[column].type} → {new[column].type}"
            yield _Found("rewrite", what)


def _is_wider(new: str, old: str) -> bool:
    """Whether a type has every value of another one."""
    both = [_DECIMAL.fullmatch(name) for name in (new, old)]
    if both[0] and both[1]:
        (digits, scale), (old_digits, old_scale) = (
            (int(found[1] or 10), int(found[2] or 0)) for found in both if found
        )
        return digits - old_digits >= scale - old_scale >= 0
    return new == old or new in _WIDER.get(old, ())
