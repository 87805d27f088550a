"""All rules that a project is held to, offline."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from delivery.bundle import Bundle, Resolved, resolve, survey
from delivery.bundle.includes import refused_includes
from delivery.bundle.load import ROOT_FILE
from delivery.bundle_cli import cli_complaints
from delivery.errors import DeliveryError, Finding, InvalidFileError
from delivery.forbidden import forbidden
from delivery.policy import FILE, Policy, line_of, load_policy, removed_fields
from delivery.preview import TARGET
from delivery.retain import included_name
from delivery.rules import branches, conventions
from delivery.rules.identity import check_home, check_identity
from delivery.rules.model import check_model
from delivery.rules.owners import check_owners
from delivery.rules.parity import check_parity
from delivery.rules.paths import check_paths
from delivery.rules.released import check_placeholders, check_released
from delivery.rules.run_as import check_run_as
from delivery.rules.secrets import check_secrets
from delivery.rules.wiring import Code, check_wiring
from delivery.target import identities_of


@dataclass(frozen=True)
class Project:
    """The project as rules see it; each part is read when the first rule asks for it."""

    root: Path
    committing: bool = False
    with_cli: bool = False

    @cached_property
    def bundle(self) -> Bundle:
        """The bundle's files, as far as they can be read."""
        return survey(self.root)

    @cached_property
    def policy(self) -> Policy:
        """The policy in `delivery.yml`."""
        return load_policy(self.root)

    @cached_property
    def targets(self) -> dict[str, Resolved]:
        """Each target's tree, resolved."""
        return {name: resolve(self.bundle, name) for name in self.bundle.targets}

    @property
    def released(self) -> list[str]:
        """The released targets that are there, in the order of promotion."""
        return [name for name in self.policy.released if name in self.bundle.targets]


def _include(project: Project) -> Iterator[Finding]:
    """A file that no include reaches is ignored without a word, and its resources are deleted."""
    for folder in ("resources", "targets"):
        for file in sorted((project.root / folder).rglob("*.y*ml")):
            name = file.relative_to(project.root).as_posix()
            if name not in project.bundle.files:
                mend = "Move it to targets/NAME.yml or resources/DOMAIN/NAME.yml."
                yield Finding(name, 0, "include", "no include of databricks.yml reaches it", mend)
    include = project.bundle.tree.items_of("include")
    if include and included_name(project.root, list(map(str, include))) is None:
        place, message = project.bundle.tree.marks["include"], "no pattern takes one more file"
        mend = "Add release*.yml: going back declares there what it keeps."
        yield Finding(place.file, place.line, "include", message, mend)
    yield from _refused_includes(project)


def _refused_includes(project: Project) -> Iterator[Finding]:
    bundle = project.bundle
    return refused_includes(bundle.root, bundle.files[1:], bundle.tree)


def _reference(project: Project) -> Iterator[Finding]:
    yield from _in_targets({name: r.findings for name, r in project.targets.items()})


def _wiring(project: Project) -> Iterator[Finding]:
    code = Code(project.root)
    found = {name: check_wiring(r.tree, code) for name, r in project.targets.items()}
    yield from _in_targets(found)


def _model(project: Project) -> Iterator[Finding]:
    yield from _in_targets({name: check_model(r.tree) for name, r in project.targets.items()})


def _conventions(project: Project) -> Iterator[Finding]:
    policy = project.policy
    found: dict[str, list[Finding]] = {}
    for name in project.released:
        tree = project.targets[name].tree
        found[name] = [
            *conventions.check_names(tree, policy),
            *conventions.check_tags(tree, policy),
            *conventions.check_notifications(tree),
            *([] if project.bundle.broken else conventions.check_verification(tree, policy)),
        ]
    yield from _in_targets(found)


def _released(project: Project) -> Iterator[Finding]:
    last = project.policy.released[-1:]
    for name in {*project.released, TARGET} & {*project.bundle.targets}:
        yield from forbidden(project.bundle, name)
    for name in project.released:
        tree = project.targets[name].tree
        yield from check_released(project.bundle, name, tree, (name,) == last)


def _run_as(project: Project) -> Iterator[Finding]:
    for name in project.released:
        identities = identities_of(project.bundle, name)
        yield from check_run_as(project.bundle, name, project.targets[name].tree, identities)


def _placeholder(project: Project) -> Iterator[Finding]:
    for name in project.released:
        yield from check_placeholders(project.bundle, name)
    yield from check_home(project.root, project.policy)
    yield from check_owners(project.root)


def _parity(project: Project) -> Iterator[Finding]:
    yield from check_parity(project.bundle, project.released, project.policy.may_differ)


def _path(project: Project) -> Iterator[Finding]:
    trees = {name: project.bundle.with_target(name) for name in project.released}
    include = project.policy.release.include
    found = {name: check_paths(project.root, tree, include) for name, tree in trees.items()}
    yield from _in_targets(found)


def _identity(project: Project) -> Iterator[Finding]:
    yield from check_identity(project.root, project.bundle, project.policy)


def _cli(project: Project) -> Iterator[Finding]:
    if project.with_cli and not [*_refused_includes(project)]:
        yield from cli_complaints(project.bundle)


def _in_targets(found: Mapping[str, Iterable[Finding]]) -> Iterator[Finding]:
    """Each finding once; where only some targets have it, it says which."""
    targets: dict[Finding, dict[str, None]] = {}
    for name, findings in found.items():
        for finding in findings:
            targets.setdefault(finding, {})[name] = None
    for finding, names in targets.items():
        where = "" if len(names) == len(found) else f" (target {', '.join(names)})"
        yield replace(finding, message=finding.message + where)


def _policy(project: Project) -> Iterator[Finding]:
    """Targets that the policy names are there; all else about its form is told when it is read."""
    yield from removed_fields(project.root)
    known = ", ".join(project.bundle.targets) or "nothing"
    for name in project.policy.released:
        if name not in project.released:
            message = f"branches.targets.{name}: given {name}, expected one of {known}"
            mend = f"Rename it, or add targets/{name}.yml."
            yield Finding(FILE, 0, "policy", message, mend)


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
    "model": _model,
    "path": _path,
    "convention": _conventions,
    "released": _released,
    "run_as": _run_as,
    "placeholder": _placeholder,
    "parity": _parity,
    "identity": _identity,
    "policy": _policy,
    "cli": _cli,
    "secret": _secret,
    "branch": _branch,
}

# What findings are called that a rule of another name finds.
FINDINGS = {
    "naming": "convention",
    "tags": "convention",
    "notification": "convention",
    "verify": "convention",
    "forbidden": "released",
    "yaml": "include",
    "duplicate": "include",
}

# Rules that a file which cannot be read would set off, and those that need databricks.yml.
_NEED_ALL = ("reference", "parity", "identity", "policy", "cli")
_NEED_ROOT = ("convention", "released", "run_as")


def check(project: Project, only: Iterable[str] = ()) -> list[Finding]:
    """Hold the project to all rules, or to `only` some; every finding at once, by file and line.

    Args:
        only: names of rules, or names that findings have.

    Raises:
        DeliveryError: `only` names no rule.
    """
    findings: set[Finding] = set()
    for name in only or RULES:
        if name not in (*RULES, *FINDINGS):
            known = ", ".join((*RULES, *FINDINGS))
            raise DeliveryError(f"rule: given {name!r}, expected one of {known}")
        found = _found(FINDINGS.get(name, name), project)
        other = {rule for rule, source in FINDINGS.items() if source == FINDINGS.get(name)} - {name}
        findings.update(finding for finding in found if finding.rule not in other)
    return sorted(_with_line(finding, project.root) for finding in findings)


def _found(name: str, project: Project) -> list[Finding]:
    """What one rule finds, and what it cannot read; it is judged as far as that makes sense."""
    try:
        rule = list(RULES[name](project)) if _is_judged(name, project) else []
    except InvalidFileError as error:
        rule = list(error.findings)
    except DeliveryError as error:  # such as a CLI that does not answer
        rule = [Finding(ROOT_FILE, 0, name, str(error), f"See: delivery check --only {name}")]
    return [*rule, *(project.bundle.broken if "bundle" in vars(project) else ())]


def _is_judged(name: str, project: Project) -> bool:
    if name not in (*_NEED_ALL, *_NEED_ROOT):
        return True
    broken = {finding.file for finding in project.bundle.broken}
    return not broken if name in _NEED_ALL else ROOT_FILE not in broken


def _with_line(finding: Finding, root: Path) -> Finding:
    """The finding with its line: what is said of the policy begins with the key in question."""
    if (finding.file, finding.line) != (FILE, 0):
        return finding
    try:
        return replace(finding, line=line_of(root, finding.message.partition(":")[0]))
    except InvalidFileError:
        return finding
