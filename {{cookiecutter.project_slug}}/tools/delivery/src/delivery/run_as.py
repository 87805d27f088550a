"""Whom things run as: the runner, named by each job, pipeline and alert, and nobody else."""

from collections.abc import Iterator
from typing import NamedTuple

from delivery.bundle import Mark, Section
from delivery.resources import KINDS

KEY = "run_as"


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


def forbidden_identity(identity: str, known: Identities) -> str:
    """Why nothing may run as this identity; empty for one that is allowed.

    What runs as the deployer, or with its rights, could forge releases and the ledger.
    """
    if not known.deployer:
        return ""
    if not identity:
        return "names no run_as, so it would run as the deployer"
    for name in ("deployer", "planner"):
        if identity == getattr(known, name):
            return f"runs as the {name}"
    return ""
