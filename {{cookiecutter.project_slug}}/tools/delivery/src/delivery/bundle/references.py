"""Resolve `${…}` offline, for one target, and tell which references point at nothing."""

import contextlib
import difflib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from delivery.bundle.document import Items, Mark, Section
from delivery.bundle.load import Bundle
from delivery.errors import Finding

RULE = "reference"

_REFERENCE = re.compile(r"\$\{([A-Za-z][\w-]*(?:\.[\w-]+|\[\d+\])*)\}")
_STEP = re.compile(r"[\w-]+")

# What only the workspace or the checkout knows stands as <name> in the resolved tree, unless the
# files say it.
_KNOWN_LATER = ("bundle.git", "workspace.current_user", "bundle.environment")
_DEFINITION_KEYS = {"default", "description", "lookup", "type", "value"}
# Full definitions that a target may give a variable; any other mapping is the value itself.
DEFINITIONS = (
    {"default", "type", "description"},
    {"default", "type"},
    {"default", "description"},
    {"lookup", "description"},
    {"default"},
    {"lookup"},
)
_ROUNDS = 11  # as often the CLI looks again for references in what it made of others
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
    """One target's tree without references, and what could not be resolved."""

    tree: Section
    findings: tuple[Finding, ...]


class _DanglingError(Exception):
    """A reference points at nothing; the text says what was expected, `mend` what to write."""

    def __init__(self, reason: str, mend: str) -> None:
        super().__init__(reason)
        self.mend = mend


def resolve(bundle: Bundle, target: str, variables: Mapping[str, str] | None = None) -> Resolved:
    """Replace every `${…}` of the target's tree; `variables` win over what the files assign.

    A value that is one reference takes the type of what it points at. What only the workspace
    knows, such as the id of a job, stands as `<resources.jobs.x.id>`.
    """
    resolver = _Resolver(bundle, target, variables or {})
    tree = resolver.section(bundle.with_target(target))
    resolver.section(resolver.variables)  # they are in no tree, and may point at nothing, too
    return Resolved(tree, tuple(sorted(set(resolver.findings))))


def value_of(bundle: Bundle, target: str, variable: str) -> str:
    """What a variable has on a target, as a text; empty when it is none that is declared."""
    resolver = _Resolver(bundle, target, {})
    if variable not in bundle.tree.section("variables"):
        return ""
    return str(resolver.text(f"${{var.{variable}}}", Mark("databricks.yml", 0)))


@dataclass
class _Resolver:
    bundle: Bundle
    target: str
    given: Mapping[str, str]
    findings: list[Finding] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._tree = self.bundle.with_target(self.target)
        self.variables = self.bundle.target(self.target).section("variables")
        self._open: list[str] = []  # references being resolved, to find circles

    def section(self, section: Section) -> Section:
        result = Section()
        for key, value in section.items():
            mark = section.marks[key]
            result.put(key, self._value(value, mark), mark)
        return result

    def _items(self, items: Items) -> Items:
        result = Items()
        for value, mark in zip(items, items.marks, strict=True):
            result.put(self._value(value, mark), mark)
        return result

    def _value(self, value: Any, mark: Mark) -> Any:
        if isinstance(value, Section):
            return self.section(value)
        if isinstance(value, Items):
            return self._items(value)
        return self.text(value, mark) if isinstance(value, str) else value

    def text(self, text: str, mark: Mark) -> Any:
        """A text without references, nor those that others make: `${var.a_${var.b}}`."""
        for _ in range(_ROUNDS):
            whole = _REFERENCE.fullmatch(text)
            if whole:
                return self._looked_up(whole[1], mark)
            made = _REFERENCE.sub(lambda found: str(self._looked_up(found[1], mark)), text)
            if made == text:
                break
            text = made
        return text

    def _looked_up(self, reference: str, mark: Mark) -> Any:
        if reference in self._open:
            return self._circle(reference, mark)
        self._open.append(reference)
        try:
            return self._value(*self._find(reference, mark))
        except _DanglingError as error:
            return self._report(reference, str(error), error.mend, mark)
        finally:
            self._open.pop()

    def _circle(self, reference: str, mark: Mark) -> str:
        """A circle is told once, whichever of its members somebody asks for first."""
        members = self._open[self._open.index(reference) :]
        if reference != min(members):
            return f"<{reference}>"
        reason = f"it refers to itself: {' → '.join([*members, reference])}"
        return self._report(reference, reason, "Give one of them a value of its own.", mark)

    def _report(self, reference: str, reason: str, mend: str, mark: Mark) -> str:
        message = f"${{{reference}}}: {reason}"
        self.findings.append(Finding(mark.file, mark.line, RULE, message, mend))
        return f"<{reference}>"

    def _find(self, reference: str, mark: Mark) -> tuple[Any, Mark]:
        """What a reference points at, and where that stands; `mark` where it stands nowhere."""
        head, *steps = _STEP.findall(reference)
        if reference.startswith(_KNOWN_LATER):
            with contextlib.suppress(_DanglingError):
                return _walk(self._tree, mark, [head, *steps], reference)
            return f"<{reference}>", mark
        if head == "var" and steps:
            return _walk(*self._variable(steps[0], mark), steps[1:], reference)
        if head == "resources":
            return self._of_resource(steps, reference, mark)
        if head == "bundle" and steps == ["target"]:
            return self.target, mark
        if head == "workspace":
            return self._of_workspace(steps, reference, mark)
        return _walk(self._tree, mark, [head, *steps], reference)

    def _variable(self, name: str, mark: Mark) -> tuple[Any, Mark]:
        declared = self._tree.section("variables")
        if name not in declared:
            reason = f"given {name}, expected a variable of {_listed(declared)}"
            otherwise = f"Declare it in databricks.yml: variables: {{{name}: {{default: x}}}}"
            raise _DanglingError(reason, _near(name, declared, otherwise))
        if name in self.given:
            return self.given[name], mark
        source = self.variables if name in self.variables else declared
        value, place = source[name], source.marks[name]
        if source is self.variables and isinstance(value, Section) and {*value} not in DEFINITIONS:
            return value, place
        return _assigned(value, place, f"<var.{name}>")

    def _of_workspace(self, steps: list[str], reference: str, mark: Mark) -> tuple[Any, Mark]:
        workspace = self._tree.section("workspace")
        if len(steps) == 1 and steps[0] not in workspace and steps[0] in _WORKSPACE_DEFAULTS:
            return _WORKSPACE_DEFAULTS[steps[0]], mark
        return _walk(workspace, mark, steps, reference)

    def _of_resource(self, steps: list[str], reference: str, mark: Mark) -> tuple[Any, Mark]:
        kind, key, *rest = [*steps, "", ""][: max(len(steps), 2)]
        resource = self._tree.section("resources").section(kind)
        if key not in resource:
            reason = f"expected one of resources.{kind}: {_listed(resource)}"
            raise _DanglingError(reason, _near(key, resource, "Declare it in resources/."))
        try:
            return _walk(resource[key], resource.marks[key], rest, reference)
        except _DanglingError:
            return f"<{reference}>", mark  # such as its id


def _assigned(value: Any, mark: Mark, unknown: str) -> tuple[Any, Mark]:
    """The value of a variable, given as such or as a definition with a default, and its place."""
    if not (isinstance(value, Section) and value.keys() <= _DEFINITION_KEYS):
        return value, mark
    if value.get("lookup") is not None:  # it wins over a default, and only the workspace knows it
        return unknown, mark
    key = next((key for key in ("value", "default") if key in value), "")
    return value.get(key, unknown), value.marks.get(key, mark)


def _walk(value: Any, mark: Mark, steps: list[str], reference: str) -> tuple[Any, Mark]:
    for step in steps:
        if isinstance(value, Section) and step in value:
            value, mark = value[step], value.marks[step]
        elif isinstance(value, Items) and step.isdecimal() and int(step) < len(value):
            value, mark = value[int(step)], value.marks[int(step)]
        else:
            known = value if isinstance(value, Section) else Section()
            keys = _listed(known) if isinstance(value, Section) else "no keys"
            reason = f"{step} of {reference} is not there, expected {keys}"
            raise _DanglingError(
                reason, _near(step, known, "Name what is there, such as its name.")
            )
    return value, mark


def _near(given: str, known: Section, otherwise: str) -> str:
    """What to write instead: the likeliest slip of the keyboard."""
    close = difflib.get_close_matches(given, known, 1, cutoff=0.75)
    return f"Write {close[0]} for {given}." if close else otherwise


def _listed(section: Section) -> str:
    return ", ".join(section) or "nothing"
