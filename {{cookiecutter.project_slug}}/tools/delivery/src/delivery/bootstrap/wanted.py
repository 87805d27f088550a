"""What a project wants of its forge, from its own files: both forges get the same."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path

from delivery.bootstrap.environments import (
    CLIENT,
    audience_of,
    environments_of,
    variables_of,
)
from delivery.bootstrap.thing import Look
from delivery.checks.placeholder import is_placeholder
from delivery.config.code_owners import OWNERS_FILE, code_owners
from delivery.config.policy import Approval, Policy
from delivery.config.target import PREVIEW_TARGET, UNKNOWN_RELEASE, Target, read_target
from delivery.config.yaml import YamlMapping, read_yaml
from delivery.scaffold.edits import owners_of_all

_WORKFLOWS = ".github/workflows"


@dataclass(frozen=True)
class Environment:
    """An environment of the forge, for the jobs that act as one service principal.

    Attributes:
        branches: the branches that may run its jobs; empty for all, because requests use it.
        approval: how its jobs are approved.
        variables: what its jobs need to know, as far as it is known.
        unknown: variables that are not known yet, and how they become known.
    """

    name: str
    branches: tuple[str, ...]
    approval: Approval
    variables: Mapping[str, str]
    unknown: Mapping[str, str]

    def problems(self, found: Mapping[str, str]) -> Iterator[str]:
        """What is wrong with the variables that the forge has, one after another."""
        for key, value in self.variables.items():
            if key not in found:
                yield f"no {key}"
            elif found[key] != value:
                yield f"{key} is {found[key]}, expected {value}"

    def not_known(self, found: Mapping[str, str]) -> Look:
        """The variables that no call can set yet, because their values are not known."""
        open_ = {
            key: how
            for key, how in self.unknown.items()
            # No file has the id of previews: one that the forge has cannot be compared.
            if self.name != PREVIEW_TARGET or is_placeholder(found.get(key, ""))
        }
        if open_:
            return Look("; ".join(f"{key}: {how}" for key, how in open_.items()), False)
        return Look(" ".join(f"{key}={found[key]}" for key in self.unknown), True)


@dataclass(frozen=True)
class Wanted:
    """What a project wants of its forge.

    Attributes:
        branches: those that change only through requests.
        approvals: how many a request needs; 0 if somebody works alone.
        nightly: the branch of the nightly schedule: the one of the last target.
        checks: the checks of a request on GitHub, by the names in the pipelines.
        owners: the code owners.
        approvers: who approves a plan.
    """

    branches: tuple[str, ...]
    approvals: int
    nightly: str
    environments: tuple[Environment, ...] = ()
    checks: tuple[str, ...] = ()
    owners: tuple[str, ...] = ()
    approvers: tuple[str, ...] = field(default=())


def wanted_of(
    root: Path, policy: Policy, previews: str = "", approvers: Sequence[str] = ()
) -> Wanted:
    """What the files of a project want of its forge.

    Args:
        previews: the application id of the identity of previews, which no file has.
        approvers: who approves a plan; by default the owners of all files.

    Raises:
        DeliveryError: a file of the project is malformed.
    """
    file = root / OWNERS_FILE
    text = file.read_text(encoding="utf-8") if file.is_file() else ""
    return Wanted(
        branches=policy.branches.protected,
        approvals=policy.branches.approvals,
        nightly=policy.branches.targets[policy.released[-1]],
        environments=tuple(_environments(root, policy, previews)),
        checks=tuple(request_checks(root)),
        owners=tuple(owner.name for owner in code_owners(root)),
        approvers=tuple(approvers or owners_of_all(text).split()),
    )


def _environments(root: Path, policy: Policy, previews: str) -> Iterator[Environment]:
    for name, branch in policy.branches.targets.items():
        target = read_target(root, name, UNKNOWN_RELEASE)
        deploys, plans = environments_of(name).values()
        yield _environment(target, deploys, (branch,), policy.approval_of(name), target.deployer)
        # Requests are planned for the first target. Nights read the others from each branch.
        is_asked = name == policy.released[0] != policy.released[-1]
        admitted = () if is_asked else policy.branches.protected
        yield _environment(target, plans, admitted, "none", target.planner)
    target = read_target(root, PREVIEW_TARGET, UNKNOWN_RELEASE)
    (name,) = environments_of(PREVIEW_TARGET).values()
    yield _environment(target, name, (), "none", previews)


def _environment(
    target: Target, name: str, branches: tuple[str, ...], approval: Approval, client: str
) -> Environment:
    audience = audience_of(target.bundle, name)
    values = variables_of(target.host, client, audience)
    unknown = {key: _how(target, key) for key, value in values.items() if is_placeholder(value)}
    known = {key: value for key, value in values.items() if key not in unknown}
    return Environment(name, branches, approval, known, unknown)


def _how(target: Target, variable: str) -> str:
    """How a variable becomes known."""
    if variable == CLIENT and target.name == PREVIEW_TARGET:
        return "delivery bootstrap preview prints it: --previews ID"
    if variable == CLIENT:
        return f"delivery bootstrap {target.name} --apply writes it into targets/{target.name}.yml"
    return f"set workspace.host in targets/{target.name}.yml"


# --- the checks of a request ---


def request_checks(root: Path) -> Iterator[str]:
    """The names of the checks that every request on GitHub has, as its rules name them.

    They are those of workflows for requests and for the merge queue: all others are left out for
    some requests, and a check that never starts blocks its request for ever.
    """
    for file in sorted((root / _WORKFLOWS).glob("*.y*ml")):
        workflow = read_yaml(root, f"{_WORKFLOWS}/{file.name}")
        triggers = workflow.section("on")
        if not {"pull_request", "merge_group"} <= triggers.keys() or triggers["pull_request"]:
            continue
        jobs = workflow.section("jobs")
        for key in jobs:
            job = jobs.section(key)
            if not {"if", "uses"} & job.keys():
                yield from _names(key, job)


def _names(key: str, job: YamlMapping) -> Iterator[str]:
    """The names of a job, one for each cell of its matrix."""
    matrix = job.section("strategy").section("matrix")
    axes = {axis: matrix.items_of(axis) for axis in matrix if axis not in ("include", "exclude")}
    for cell in product(*axes.values()):
        cells = f" ({', '.join(map(str, cell))})" if cell else ""
        name = str(job.get("name", f"{key}{cells}"))
        for axis, value in zip(axes, cell, strict=True):
            name = re.sub(rf"\$\{{\{{\s*matrix\.{re.escape(axis)}\s*\}}\}}", str(value), name)
        yield name
