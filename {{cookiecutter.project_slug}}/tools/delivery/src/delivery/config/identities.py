"""The identities of a target, and the identity that each job, pipeline and alert runs as."""

import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from delivery.config.yaml import Mark, YamlMapping
from delivery.resources import KINDS

RUN_AS = "run_as"
EVERYONE = ("users", "account users")  # groups that contain everyone in the account
_UNRESOLVED = re.compile(r"<[a-z]+\.|\$\{")


class Identities(NamedTuple):
    """The application ids of a target's service principals; empty if unknown."""

    deployer: str = ""
    runner: str = ""
    planner: str = ""


class RunAs(NamedTuple):
    """The identity of one resource.

    Attributes:
        key: such as `jobs.flights_daily`.
        own: the `run_as` of the resource; empty if it has none.
        inherited: the `run_as` of the target, which applies if the resource has none.
        mark: where it is declared.
        from_file: its content comes from the file at `file_path`.
    """

    key: str
    own: YamlMapping
    inherited: YamlMapping
    mark: Mark
    from_file: bool = False

    @property
    def identity(self) -> str:
        """The identity that the resource runs as; empty means the deployer."""
        return identity_of(self.own or self.inherited)


def declared_run_as(tree: YamlMapping) -> Iterator[RunAs]:
    """The identity of every resource of a target that runs."""
    kinds = tree.section("resources")
    for kind in (kind for kind in kinds if kind in KINDS and KINDS[kind].runs_as):
        entries = kinds.section(kind)
        for name in entries:
            resource = entries.section(name)
            mark = resource.marks.get(RUN_AS, entries.marks[name])
            own, inherited = resource.section(RUN_AS), tree.section(RUN_AS)
            yield RunAs(f"{kind}.{name}", own, inherited, mark, "file_path" in resource)


def run_as_in_cli_plan(tree: YamlMapping, plan: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Resources that the CLI's plan runs as another identity than the tree, with that identity."""
    for resource in declared_run_as(tree):
        planned = plan.get(f"resources.{resource.key}", {}).get("new_state", {}).get("value", {})
        identity = identity_of(planned.get(RUN_AS) or {})
        if planned and identity != resource.identity:
            yield resource.key, identity


def forbidden_identity(identity: str, known: Identities) -> str:
    """Why no resource may run as this identity; empty if it is allowed.

    A job with the deployer's rights could forge releases and the ledger.
    """
    if not known.deployer:
        return ""
    if not identity:
        return "has no run_as, so it would run as the deployer"
    for name in ("deployer", "planner"):  # application ids do not distinguish case
        if identity.strip().casefold() == getattr(known, name).strip().casefold():
            return f"runs as the {name}"
    ids = (identity, known.deployer, known.planner)
    unresolved = next((name for name in ids if _UNRESOLVED.search(name)), "")
    return f"may run as the deployer: unresolved value {unresolved}" if unresolved else ""


def identity_of(run_as: Mapping[str, Any]) -> str:
    """The identity in a `run_as`; empty if it has none."""
    return str(run_as.get("service_principal_name") or run_as.get("user_name") or "")
