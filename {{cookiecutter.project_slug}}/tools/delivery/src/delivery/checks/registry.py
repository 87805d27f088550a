"""The rules of `delivery check`. Each rule registers itself, in the file that it is written in."""

import importlib
import pkgutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from delivery.config.bundle import Bundle, load_bundle_partial
from delivery.config.code import Code
from delivery.config.ignores import without_ignored
from delivery.config.includes import ROOT_FILE
from delivery.config.policy_file import POLICY_FILE, policy_line
from delivery.config.references import Resolved, resolve
from delivery.errors import DeliveryError, Finding, InvalidFileError

if TYPE_CHECKING:
    from concurrent.futures import Future

    from delivery.config.policy import Policy

Scope = Literal["project", "target", "released"]
Needs = Literal["nothing", "root", "bundle"]
Asked = Literal["", "quick", "full"]  # how the CLI is asked for its opinion, if at all


@dataclass(frozen=True)
class CheckContext:
    """The project as rules see it. Each part is read when the first rule asks for it."""

    root: Path
    committing: bool = False
    cli: Asked = ""

    @cached_property
    def bundle(self) -> Bundle:
        """The bundle's files, as far as they can be read."""
        return load_bundle_partial(self.root)

    @cached_property
    def policy(self) -> "Policy":
        """The policy in `delivery.yml`."""
        from delivery.config.policy import load_policy  # slow, and few rules need it

        return load_policy(self.root)

    @cached_property
    def targets(self) -> dict[str, Resolved]:
        """The configuration of each target, with its references resolved."""
        return {name: resolve(self.bundle, name) for name in self.bundle.targets}

    @cached_property
    def opinion(self) -> "Future[list[str]]":
        """What the CLI says of the bundle; it is asked from now on, while other rules run."""
        from delivery.checks.cli import ask_cli

        return ask_cli(self)

    @cached_property
    def code(self) -> Code:
        """The project's Python code."""
        return Code(self.root)

    @property
    def released(self) -> list[str]:
        """The targets that take releases and that exist, in the order of promotion."""
        return [name for name in self.policy.released if name in self.bundle.targets]

    def policy_finding(
        self, path: str, rule: str, message: str, hint: str, severity: Any = "error"
    ) -> Finding:
        """A finding about a field of `delivery.yml`, at the line of that field."""
        return Finding(POLICY_FILE, policy_line(self.root, path), rule, message, hint, severity)


@dataclass(frozen=True)
class Rule:
    """One rule.

    Attributes:
        name: the name that `--only` takes and that its findings print.
        check: yields findings; it takes the context, and the name of a target if it has a scope.
        scope: `project` runs once, `target` for each target, `released` for each that takes
            releases. A finding of several targets is reported once.
        needs: what must be readable, so that a broken file does not cause findings elsewhere.
    """

    name: str
    check: Callable[..., Iterable[Finding]]
    scope: Scope
    needs: Needs

    @property
    def summary(self) -> str:
        """What it finds, in one line."""
        return (self.check.__doc__ or "").strip().partition("\n")[0]

    def findings(self, context: CheckContext) -> list[Finding]:
        """The findings of the rule; an unreadable file is a finding, too."""
        try:
            return list(self._run(context)) if self._can_judge(context) else []
        except InvalidFileError as error:
            return list(error.findings)
        except DeliveryError as error:  # such as a Databricks CLI that does not answer
            hint = f"See: delivery check --only {self.name}"
            return [Finding(ROOT_FILE, 0, self.name, str(error), hint)]

    def _run(self, context: CheckContext) -> Iterable[Finding]:
        if self.scope == "project":
            return self.check(context)
        names = context.bundle.targets if self.scope == "target" else context.released
        return _merge_targets({name: self.check(context, name) for name in names})

    def _can_judge(self, context: CheckContext) -> bool:
        if self.needs == "nothing":
            return True
        broken = {finding.file for finding in context.bundle.broken}
        return not broken if self.needs == "bundle" else ROOT_FILE not in broken


_PACKAGE = "delivery.checks"
_RULES: dict[str, Rule] = {}
Check = Callable[..., Iterable[Finding]]


def rule(name: str, scope: Scope = "project", needs: Needs = "nothing") -> Callable[[Check], Check]:
    """Register a function as a rule; see `Rule` for the arguments.

    Example:
        @rule("tags", scope="released", needs="root")
        def check_tags(context: CheckContext, target: str) -> Iterator[Finding]: ...
    """

    def register(check: Check) -> Check:
        _RULES[name] = Rule(name, check, scope, needs)
        return check

    return register


def all_rules() -> dict[str, Rule]:
    """Every rule of this package, by name."""
    package = importlib.import_module(_PACKAGE)
    for module in pkgutil.iter_modules(package.__path__, f"{_PACKAGE}."):
        importlib.import_module(module.name)
    return dict(sorted(_RULES.items()))


def _rules(names: Sequence[str]) -> dict[str, Rule]:
    """The named rules, without the imports of others if each is in a file of its name; else all."""
    for name in names:
        if name.isidentifier() and find_spec(f"{_PACKAGE}.{name}"):
            importlib.import_module(f"{_PACKAGE}.{name}")
    found = {name: _RULES[name] for name in names if name in _RULES}
    return found if found and found.keys() == {*names} else all_rules()


def check(context: CheckContext, only: Iterable[str] = ()) -> list[Finding]:
    """Run all rules, or `only` some; returns every finding, sorted by file and line.

    Raises:
        DeliveryError: `only` names an unknown rule.
    """
    chosen = [*only]
    rules = _rules(chosen)
    unknown = [name for name in chosen if name not in rules]
    if unknown:
        raise DeliveryError(f"rule: given {unknown[0]!r}, expected one of {', '.join(rules)}")
    names = sorted(chosen or rules, key="cli".__eq__)  # the CLI's answer is read at the end
    if "cli" in names and context.cli:
        context.opinion  # noqa: B018 - it is asked now
    found = {finding for name in names for finding in rules[name].findings(context)}
    if "bundle" not in vars(context):
        return sorted(found)
    found.update(context.bundle.broken)
    if context.cli:
        from delivery.checks.cli import without_repeated

        found = without_repeated(found)
    return sorted(without_ignored(context.root, found, context.bundle.files, complete=not chosen))


def _merge_targets(found: Mapping[str, Iterable[Finding]]) -> Iterator[Finding]:
    """Each finding once; the message names the targets if not all of them have it.

    What several targets say of one place is one slip, even if they say it with other values;
    unless they name themselves, as their own identities differ.
    """
    merged: dict[tuple[Any, ...], tuple[Finding, dict[str, None]]] = {}
    for name, findings in found.items():
        counts: dict[tuple[Any, ...], int] = {}
        for finding in dict.fromkeys(findings):
            place = (finding.file, finding.line, finding.severity)
            counts[place] = counts.get(place, 0) + 1
            own = name if finding.message.startswith(f"{name}: ") else ""
            key = (*place, counts[place], own)
            merged.setdefault(key, (finding, {}))[1][name] = None
    for finding, names in merged.values():
        names_target = finding.message.startswith(tuple(f"{name}: " for name in names))
        where = "" if names_target or len(names) == len(found) else f" (target {', '.join(names)})"
        yield replace(finding, message=finding.message + where)
