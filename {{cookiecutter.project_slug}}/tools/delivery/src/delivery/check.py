"""All rules that a project is held to, offline."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from delivery import branches
from delivery.bundle import Bundle, Resolved, load, resolve
from delivery.errors import DeliveryError, Finding, InvalidFileError
from delivery.policy import Policy, load_policy
from delivery.secrets import check_secrets
from delivery.wiring import Code, check_wiring


@dataclass(frozen=True)
class Project:
    """The project as rules see it; each part is read when the first rule asks for it."""

    root: Path
    committing: bool = False

    @cached_property
    def bundle(self) -> Bundle:
        """The bundle's files."""
        return load(self.root)

    @cached_property
    def policy(self) -> Policy:
        """The policy in `delivery.yml`."""
        return load_policy(self.root)

    @cached_property
    def targets(self) -> dict[str, Resolved]:
        """Each target's tree, resolved."""
        return {name: resolve(self.bundle, name) for name in self.bundle.targets}


def _include(project: Project) -> Iterator[Finding]:
    """A file that no include reaches is ignored without a word, and its resources are deleted."""
    for folder in ("resources", "targets"):
        for file in sorted((project.root / folder).rglob("*.y*ml")):
            name = file.relative_to(project.root).as_posix()
            if name not in project.bundle.files:
                mend = "Move it to targets/NAME.yml or resources/DOMAIN/NAME.yml."
                yield Finding(name, 0, "include", "no include of databricks.yml reaches it", mend)


def _reference(project: Project) -> Iterator[Finding]:
    yield from _in_targets({name: r.findings for name, r in project.targets.items()})


def _wiring(project: Project) -> Iterator[Finding]:
    code = Code(project.root)
    found = {name: check_wiring(r.tree, code) for name, r in project.targets.items()}
    yield from _in_targets(found)


def _in_targets(found: Mapping[str, Iterable[Finding]]) -> Iterator[Finding]:
    """Each finding once; where only some targets have it, it says which."""
    targets: dict[Finding, list[str]] = {}
    for name, findings in found.items():
        for finding in findings:
            targets.setdefault(finding, []).append(name)
    for finding, names in targets.items():
        where = "" if len(names) == len(found) else f" (target {', '.join(names)})"
        yield replace(finding, message=finding.message + where)


def _secret(project: Project) -> Iterator[Finding]:
    yield from check_secrets(project.bundle.tree)


def _branch(project: Project) -> Iterator[Finding]:
    branch = branches.current_branch(project.root)
    yield from branches.check_name(branch, project.policy.branches)
    if project.committing:
        yield from branches.check_commit(project.root, branch, project.policy.branches)


RULES: dict[str, Callable[[Project], Iterator[Finding]]] = {
    "include": _include,
    "reference": _reference,
    "wiring": _wiring,
    "secret": _secret,
    "branch": _branch,
}


def check(project: Project, only: Iterable[str] = ()) -> list[Finding]:
    """Hold the project to all rules, or to `only` some; every finding at once, by file and line.

    Raises:
        DeliveryError: `only` names no rule.
    """
    findings: set[Finding] = set()
    for name in only or RULES:
        if name not in RULES:
            raise DeliveryError(f"rule: given {name!r}, expected one of {', '.join(RULES)}")
        findings.update(_found(RULES[name], project))
    return sorted(findings)


def _found(rule: Callable[[Project], Iterator[Finding]], project: Project) -> list[Finding]:
    try:
        return list(rule(project))
    except InvalidFileError as error:
        return [error.finding]
