"""Whom things run as: the runner, named by each job, pipeline and alert, and nobody else."""

import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from delivery.bundle import Mark, Section
from delivery.resources import KINDS

KEY = "run_as"
_OPEN = re.compile(r"<[a-z]+\.|\$\{")  # what is not resolved


class Identities(NamedTuple):
    """The application ids of a target's service principals; empty where they are not known."""

    deployer: str = ""
    runner: str = ""
    planner: str = ""


class Running(NamedTuple):
    """One resource that runs.

    Attributes:
        key: such as `jobs.flights_daily`.
        given: its own `run_as`; empty where it names none.
        otherwise: the target's `run_as`, which counts where it names none.
        mark: where it is declared.
    """

    key: str
    given: Section
    otherwise: Section
    mark: Mark

    @property
    def identity(self) -> str:
        """Whom it runs as; empty for whoever deploys it."""
        named = self.given or self.otherwise
        return str(named.get("service_principal_name") or named.get("user_name") or "")


def running(tree: Section) -> Iterator[Running]:
    """Everything of a target that runs as somebody."""
    kinds = tree.section("resources")
    for kind in (kind for kind in kinds if kind in KINDS and KINDS[kind].runs_as):
        entries = kinds.section(kind)
        for name in entries:
            resource = entries.section(name)
            mark = resource.marks.get(KEY, entries.marks[name])
            own, common = resource.section(KEY), tree.section(KEY)
            yield Running(f"{kind}.{name}", own, common, mark)


def otherwise_in_plan(tree: Section, plan: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """What the CLI would let run as somebody else than the tree says, and as whom."""
    for one in running(tree):
        made = plan.get(f"resources.{one.key}", {}).get("new_state", {}).get("value", {})
        named = made.get(KEY) or {}
        identity = str(named.get("service_principal_name") or named.get("user_name") or "")
        if made and identity != one.identity:
            yield one.key, identity


def forbidden_identity(identity: str, known: Identities) -> str:
    """Why nothing may run as this identity; empty for one that is allowed.

    What runs as the deployer, or with its rights, could forge releases and the ledger.
    """
    if not known.deployer:
        return ""
    if not identity:
        return "names no run_as, so it would run as the deployer"
    for name in ("deployer", "planner"):
        if _same(identity, getattr(known, name)):
            return f"runs as the {name}"
    unknown = next((i for i in (identity, known.deployer, known.planner) if _OPEN.search(i)), "")
    return f"may run as the deployer: only the workspace knows {unknown}" if unknown else ""


def _same(one: str, other: str) -> bool:
    """Whether two names are one identity: an application id is no matter of capitals."""
    return one.strip().casefold() == other.strip().casefold()
