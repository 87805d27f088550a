"""Resolves the references `${...}` of one target, offline, and reports those that it cannot."""

import contextlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from delivery.config.bundle import Bundle
from delivery.config.closest import closest
from delivery.config.yaml import Mark, YamlList, YamlMapping, string_values
from delivery.errors import Finding

RULE = "reference"

_REFERENCE = re.compile(r"\$\{([A-Za-z][\w-]*(?:\.[\w-]+|\[\d+\])*)\}")
_STEP = re.compile(r"[\w-]+")
# The CLI adds /Workspace to these folders by itself, and takes a second one away with a warning.
_PREFIXED = re.compile(
    r"/Workspace/?(?=\$\{workspace\.(?:root|file|artifact|state|resource)_path\})"
)

# Other texts of this form, such as `${HOME}` of a shell, the CLI leaves as they are.
_HEADS = ("artifacts", "bundle", "resources", "var", "variables", "workspace")
# Values of the workspace or the checkout: <name> in the resolved tree unless the files set them.
_KNOWN_LATER = ("bundle.git", "workspace.current_user", "bundle.environment")
_DEFINITION_KEYS = {"default", "description", "lookup", "type", "value"}
# The keys of a full definition in a target's variables; any other mapping is the value itself.
FULL_DEFINITIONS = (
    {"default", "type", "description"},
    {"default", "type"},
    {"default", "description"},
    {"lookup", "description"},
    {"default"},
    {"lookup"},
)
_ALMOST = 0.8  # how alike a field and its misspelling are
_MAX_ROUNDS = 11  # of nested references, as in the CLI
_WORKSPACE_DEFAULTS = {
    "root_path": (
        "/Workspace/Users/${workspace.current_user.userName}/.bundle/${bundle.name}/${bundle.target}"
    ),
    "file_path": "${workspace.root_path}/files",
    "artifact_path": "${workspace.root_path}/artifacts",
    "resource_path": "${workspace.root_path}/resources",
    "state_path": "${workspace.root_path}/state",
}


@dataclass(frozen=True)
class Resolved:
    """The tree of one target without references; findings about those that are unresolved."""

    tree: YamlMapping
    findings: tuple[Finding, ...]
    referring: frozenset[int] = frozenset()  # ids of the marks of texts that had references

    @cached_property
    def texts(self) -> list[tuple[str, str, Mark]]:
        """Every string in the resources: its key, the string and its mark."""
        return list(string_values(self.tree.get("resources")))

    @property
    def errors(self) -> tuple[Finding, ...]:
        """The findings without the warnings."""
        return tuple(finding for finding in self.findings if finding.severity == "error")


class _DanglingError(Exception):
    """A reference to a value that does not exist, with a hint."""

    def __init__(self, reason: str, hint: str) -> None:
        super().__init__(reason)
        self.hint = hint


def resolve(bundle: Bundle, target: str, variables: Mapping[str, str] | None = None) -> Resolved:
    """Replace every reference in the tree of a target; `variables` override those of the files.

    A value that is a single reference takes the type of the referenced value. Values that only the
    workspace knows, such as the id of a job, become `<resources.jobs.x.id>`.
    """
    resolver = _Resolver(bundle, target, variables or {})
    tree = resolver.section(resolver.tree)
    resolver.section(resolver.variables)  # for its findings: the tree does not contain these
    referring = frozenset(resolver.referring)
    return Resolved(tree, tuple(sorted(set(resolver.findings))), referring)


def partly_resolved(bundle: Bundle, target: str, *leaves: str) -> YamlMapping:
    """The resources of a target, in which references to these sections are left as they are.

    So `${workspace.file_path}/src/x.py` is still known as a file of the project.
    """
    resolver = _Resolver(bundle, target, {}, leaves=leaves)
    return resolver.section(resolver.tree.section("resources"))


def value_of(bundle: Bundle, target: str, variable: str) -> str:
    """The value of a variable on a target, as a string; empty if it is not declared."""
    if variable not in bundle.tree.section("variables"):
        return ""
    return resolve_text(bundle, target, f"${{var.{variable}}}")


def resolve_text(bundle: Bundle, target: str, text: str) -> str:
    """A text on a target without its references, such as `${workspace.file_path}`."""
    return str(_Resolver(bundle, target, {}).text(text, Mark("databricks.yml", 0)))


@dataclass
class _Resolver:
    bundle: Bundle
    target: str
    given: Mapping[str, str]
    findings: list[Finding] = field(default_factory=list)
    leaves: tuple[str, ...] = ()
    referring: set[int] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.tree = self.bundle.tree_for_target(self.target)
        self.variables = self.bundle.target(self.target).section("variables")
        self._open: list[str] = []  # the references being resolved, to find cycles
        self._known: dict[str, str | int | float] = {}  # scalars, which many resources refer to
        self._cuts = 0  # references that lead back to an open one, so that their value is not whole

    def section(self, section: YamlMapping) -> YamlMapping:
        """A mapping without references: the same one if it has none."""
        result = section
        for key, value in section.items():
            new = self._value(value, section.marks[key]) if _may_refer(value) else value
            if new is not value:
                result = section.copy() if result is section else result
                result[key] = new
        return result

    def _items(self, items: YamlList) -> YamlList:
        result = items
        for number, value in enumerate(items):
            new = self._value(value, items.marks[number]) if _may_refer(value) else value
            if new is not value:
                result = items.copy() if result is items else result
                result[number] = new
        return result

    def _value(self, value: Any, mark: Mark) -> Any:
        if isinstance(value, YamlMapping):
            return self.section(value)
        if isinstance(value, YamlList):
            return self._items(value)
        if not _may_refer(value):
            return value
        self.referring.add(id(mark))
        return self.text(value, mark)

    def text(self, text: str, mark: Mark) -> Any:
        """A string without references, also without nested ones such as `${var.a_${var.b}}`."""
        if "/Workspace" in text:
            text = self._without_prefix(text, mark)
        for _ in range(_MAX_ROUNDS):
            whole = _REFERENCE.fullmatch(text)
            if whole:
                return self._looked_up(whole[1], mark)
            replaced = _REFERENCE.sub(lambda match: str(self._looked_up(match[1], mark)), text)
            if replaced == text:
                break
            text = replaced
        return text

    def _without_prefix(self, text: str, mark: Mark) -> str:
        mended = _PREFIXED.sub("", text)
        if mended != text:
            message = f"given {text}, expected {mended}: the folder has /Workspace already"
            finding = Finding(*mark, RULE, message, f"Write {mended}.", "warning")
            self.findings.append(finding)
        return mended

    def _looked_up(self, reference: str, mark: Mark) -> Any:
        if reference in self._open:
            self._cuts += 1
            return self._report_cycle(reference, mark)
        if reference in self._known:
            return self._known[reference]
        head = _STEP.findall(reference)[0]
        if head in self.leaves:
            return f"${{{reference}}}"
        if head not in _HEADS:
            return self._left_alone(reference, mark)
        self._open.append(reference)
        before = len(self.findings), self._cuts
        try:
            value = self._value(*self._find(reference, mark))
            is_whole = before == (len(self.findings), self._cuts)
            if isinstance(value, str | int | float) and is_whole:
                self._known[reference] = value
            return value
        except _DanglingError as error:
            return self._report(reference, str(error), error.hint, mark)
        finally:
            self._open.pop()

    def _left_alone(self, reference: str, mark: Mark) -> str:
        """A text that only looks like a reference; a likely typing error is a warning."""
        head, dot, rest = reference.partition(".")
        near = closest(head, _HEADS)
        if dot and near:
            message = f"${{{reference}}}: given {head}, expected {near}; it stays as it is"
            hint = f"Write ${{{near}.{rest}}}."
            finding = Finding(mark.file, mark.line, RULE, message, hint, "warning")
            self.findings.append(finding)
        return f"${{{reference}}}"

    def _report_cycle(self, reference: str, mark: Mark) -> str:
        """Report a cycle once, whichever of its members is resolved first."""
        members = self._open[self._open.index(reference) :]
        if reference != min(members):
            return f"<{reference}>"
        reason = f"refers to itself: {' → '.join([*members, reference])}"
        return self._report(reference, reason, "Give one of them a literal value.", mark)

    def _report(self, reference: str, reason: str, hint: str, mark: Mark) -> str:
        message = f"${{{reference}}}: {reason}"
        self.findings.append(Finding(mark.file, mark.line, RULE, message, hint))
        return f"<{reference}>"

    def _find(self, reference: str, mark: Mark) -> tuple[Any, Mark]:
        """The referenced value and its mark; `mark` if no file declares the value."""
        head, *steps = _STEP.findall(reference)
        if reference.startswith(_KNOWN_LATER):
            with contextlib.suppress(_DanglingError):
                return _walk(self.tree, mark, [head, *steps], reference)
            return f"<{reference}>", mark
        if head == "var" and steps:
            return _walk(*self._variable(steps[0], mark), steps[1:], reference)
        if head == "resources":
            return self._of_resource(steps, reference, mark)
        if head == "bundle" and steps == ["target"]:
            return self.target, mark
        if head == "workspace":
            return self._of_workspace(steps, reference, mark)
        return _walk(self.tree, mark, [head, *steps], reference)

    def _variable(self, name: str, mark: Mark) -> tuple[Any, Mark]:
        declared = self.tree.section("variables")
        if name not in declared:
            reason = f"given {name}, expected a variable: {_listed(declared)}"
            hint = f"Declare it in databricks.yml: variables: {{{name}: {{default: x}}}}"
            raise _DanglingError(reason, _hint(name, declared, hint))
        if name in self.given:
            return self.given[name], mark
        by_target = name in self.variables
        source = self.variables if by_target else declared
        value, mark = source[name], source.marks[name]
        if by_target and isinstance(value, YamlMapping) and {*value} not in FULL_DEFINITIONS:
            return value, mark
        return _assigned(value, mark, f"<var.{name}>")

    def _of_workspace(self, steps: list[str], reference: str, mark: Mark) -> tuple[Any, Mark]:
        workspace = self.tree.section("workspace")
        if len(steps) == 1 and steps[0] not in workspace and steps[0] in _WORKSPACE_DEFAULTS:
            return _WORKSPACE_DEFAULTS[steps[0]], mark
        return _walk(workspace, mark, steps, reference)

    def _of_resource(self, steps: list[str], reference: str, mark: Mark) -> tuple[Any, Mark]:
        kind, key, *rest = [*steps, "", ""][: max(len(steps), 2)]
        resource = self.tree.section("resources").section(kind)
        kinds = self.tree.section("resources")
        if kind not in kinds and (near := closest(kind, kinds)):
            reason = f"given the kind {kind}, expected {near}"
            raise _DanglingError(reason, f"Write {near} for {kind}.")
        if key not in resource:
            reason = f"expected one of resources.{kind}: {_listed(resource)}"
            raise _DanglingError(reason, _hint(key, resource, "Declare it in resources/."))
        try:
            return _walk(resource[key], resource.marks[key], rest, reference)
        except _DanglingError:
            fields = resource.section(key)
            near = closest(rest[0], fields, _ALMOST) if rest else ""
            # Terraform's name of a list, which the CLI takes for that of the field.
            if near and rest[0] not in fields and near != f"{rest[0]}s":
                reason = f"given {rest[0]}, expected {near}"
                raise _DanglingError(reason, f"Write {near} for {rest[0]}.") from None
            return f"<{reference}>", mark  # a field that no file sets, such as the id


def _may_refer(value: Any) -> bool:
    if isinstance(value, str):
        return "${" in value
    return isinstance(value, YamlMapping | YamlList)


def _assigned(value: Any, mark: Mark, unknown: str) -> tuple[Any, Mark]:
    """The value in a variable's assignment or definition, and its mark."""
    if not (isinstance(value, YamlMapping) and value.keys() <= _DEFINITION_KEYS):
        return value, mark
    if value.get("lookup") is not None:  # overrides a default, and needs the workspace
        return unknown, mark
    key = next((key for key in ("value", "default") if key in value), "")
    return value.get(key, unknown), value.marks.get(key, mark)


def _walk(value: Any, mark: Mark, steps: list[str], reference: str) -> tuple[Any, Mark]:
    """The value below `value` at the path `steps`, and its mark."""
    for step in steps:
        if isinstance(value, YamlMapping) and step in value:
            value, mark = value[step], value.marks[step]
        elif isinstance(value, YamlList) and step.isdecimal() and int(step) < len(value):
            value, mark = value[int(step)], value.marks[int(step)]
        else:
            known = value if isinstance(value, YamlMapping) else YamlMapping()
            keys = _listed(known) if isinstance(value, YamlMapping) else "no keys"
            reason = f"{step} of {reference} does not exist, expected {keys}"
            hint = _hint(step, known, "Use a field that exists, such as its name.")
            raise _DanglingError(reason, hint)
    return value, mark


def _hint(given: str, known: YamlMapping, default: str) -> str:
    """A hint to fix a likely typing error, else `default`."""
    near = closest(given, known, cutoff=0.75)
    return f"Write {near} for {given}." if near else default


def _listed(section: YamlMapping) -> str:
    return ", ".join(section) or "nothing"
