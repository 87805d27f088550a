"""The bundle for one target; the project's own loader merges it, which files it is stands here."""

import json
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from delivery.config.bundle import Bundle, load_files
from delivery.config.references import resolve
from delivery.config.yaml import Mark, YamlList, YamlMapping, read_yaml
from delivery.errors import DeliveryError

from fake_cli.errors import CommandError
from fake_cli.includes import included

# References to resources are for the plan: the resolver must not see them.
_LATER, _HIDDEN = "${resources.", "$@{resources."
_NOWHERE = Mark("databricks.yml", 1)
_VALUES = {"default", "lookup", "value"}
_PATHS = {
    "root_path": (
        "/Workspace/Users/${workspace.current_user.userName}/.bundle/${bundle.name}/${bundle.target}"
    ),
    "file_path": "${workspace.root_path}/files",
    "artifact_path": "${workspace.root_path}/artifacts",
    "resource_path": "${workspace.root_path}/resources",
    "state_path": "${workspace.root_path}/state",
}


@dataclass(frozen=True)
class User:
    """Who runs the command."""

    name: str
    id: str = ""

    @property
    def is_service_principal(self) -> bool:
        """Service principals have a UUID as their name."""
        return bool(re.fullmatch(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}", self.name))

    @property
    def short_name(self) -> str:
        """The name as it may stand in names of resources."""
        return re.sub(r"\W+", "_", self.name.split("@")[0]).strip("_")

    @property
    def key(self) -> str:
        """The field that names this user in permissions."""
        return "service_principal_name" if self.is_service_principal else "user_name"


@dataclass(frozen=True)
class Settings:
    """One target's tree as it stands in the files, and what was chosen on the command line."""

    bundle: Bundle
    target: str
    variables: Mapping[str, str]

    @property
    def tree(self) -> YamlMapping:
        """The tree of the target, with its own variables and mode laid on it."""
        tree: YamlMapping = _mapped(self.bundle.tree_for_target(self.target), str)
        own = self.bundle.target(self.target)
        variables = tree.section("variables")
        for name, value in own.section("variables").items():
            variables.put(name, _redefined(variables.get(name), value), _NOWHERE)
        if variables:
            tree.put("variables", variables, _NOWHERE)
        about = tree.section("bundle")
        about.put("target", self.target, _NOWHERE)
        about.put("environment", self.target, _NOWHERE)
        if "mode" in own:
            about.put("mode", own["mode"], _NOWHERE)
        return tree

    @property
    def warehouses(self) -> dict[str, str]:
        """The variables whose value is the id of a warehouse, with its name."""
        definitions = self.tree.section("variables")
        return {
            name: str(definition["lookup"]["warehouse"])
            for name, definition in definitions.items()
            if isinstance(definition, YamlMapping) and "warehouse" in definition.section("lookup")
            if name not in self.variables
        }

    def resolved(self, user: User, found: Mapping[str, str]) -> YamlMapping:
        """The tree without references, but for those to resources.

        Args:
            found: the values that the workspace gave for lookups.

        Raises:
            CommandError: a variable has no value, or a reference points at nothing.
        """
        self._refuse_unassigned()
        tree: YamlMapping = _mapped(self._assigned(found), _before(user, self.target))
        resolved = resolve(Bundle(self.bundle.root, self.bundle.files, tree), self.target)
        if resolved.findings:
            raise CommandError("; ".join(finding.message for finding in resolved.findings))
        result: YamlMapping = _mapped(resolved.tree, _referring)
        return result

    def _refuse_unassigned(self) -> None:
        for name, definition in self.tree.section("variables").items():
            open_ = isinstance(definition, YamlMapping) and not _VALUES & definition.keys()
            if open_ and name not in self.variables:
                raise CommandError(
                    f"no value assigned to required variable {name}. Variables are usually "
                    "assigned in databricks.yml, and they can be overridden using "
                    f'"--var", the BUNDLE_VAR_{name} environment variable, or '
                    ".databricks/bundle/<target>/variable-overrides.json"
                )

    def _assigned(self, found: Mapping[str, str]) -> YamlMapping:
        """The whole tree with presets, paths and variables where the resolver looks for them."""
        tree: YamlMapping = _mapped(self.bundle.tree, str)
        merged = self.tree
        for key in ("presets", "bundle"):
            if key in merged:
                tree.put(key, merged[key], _NOWHERE)
        workspace = YamlMapping()
        for key, default in _PATHS.items():
            workspace.put(key, merged.section("workspace").get(key, default), _NOWHERE)
        target = tree.section("targets").section(self.target)
        target.put("workspace", _laid(workspace, target.section("workspace")), _NOWHERE)
        variables = target.section("variables")
        for name, value in {**found, **self.variables}.items():
            variables.put(name, value, _NOWHERE)
        target.put("variables", variables, _NOWHERE)
        return tree


def read(root: Path, target: str | None, given: Mapping[str, str]) -> Settings:
    """Read the bundle in `root`.

    Raises:
        CommandError: it cannot be read, or there is no such target.
    """
    try:
        patterns = read_yaml(root, "databricks.yml").items_of("include")
        bundle = load_files(root, included(root, map(str, patterns)))
    except DeliveryError as error:
        raise CommandError(f"failed to load: {error}") from None
    if bundle.broken:
        raise CommandError("failed to load: " + "; ".join(map(str, bundle.broken)))
    name = target or os.environ.get("DATABRICKS_BUNDLE_TARGET") or _default(bundle)
    if name not in bundle.targets:
        known = ", ".join(bundle.targets)
        raise CommandError(f"{name}: no such target. Available targets: {known}")
    declared = bundle.tree_for_target(name).section("variables")
    from_environment = {
        variable: os.environ[f"BUNDLE_VAR_{variable}"]
        for variable in declared
        if f"BUNDLE_VAR_{variable}" in os.environ
    }
    for variable in given:
        if variable not in declared:
            raise CommandError(f"variable {variable} has not been defined")
    return Settings(bundle, name, {**_overrides(root, name), **from_environment, **given})


def _overrides(root: Path, target: str) -> dict[str, str]:
    """What the folder itself says of variables."""
    file = root / ".databricks/bundle" / target / "variable-overrides.json"
    return dict(json.loads(file.read_bytes())) if file.exists() else {}


def _default(bundle: Bundle) -> str:
    chosen = [name for name in bundle.targets if bundle.target(name).get("default") is True]
    if len(bundle.targets) != 1 and len(chosen) != 1:
        raise CommandError("please specify target")
    targets: list[str] = chosen or list(bundle.targets)
    return targets[0]


def _redefined(definition: Any, value: Any) -> Any:
    """A variable's definition with what the target gives in place of default or lookup."""
    whole = isinstance(value, YamlMapping) and {*value} <= {
        "default",
        "lookup",
        "type",
        "description",
    }
    given = value if whole and {"default", "lookup"} & {*value} else {"default": value}
    result = _laid(
        definition if isinstance(definition, YamlMapping) else YamlMapping(), YamlMapping()
    )
    for key, other in (("default", "lookup"), ("lookup", "default")):
        if key in given:
            result.put(key, given[key], _NOWHERE)
            result.pop(other, None)
    return result


def _laid(base: YamlMapping, over: YamlMapping) -> YamlMapping:
    result = YamlMapping()
    for section in (base, over):
        for key, value in section.items():
            result.put(key, value, section.marks[key])
    return result


def _before(user: User, target: str) -> Callable[[str], str]:
    """What the resolver is not to see, and what it cannot know."""
    known = {
        "${workspace.current_user.userName}": user.name,
        "${workspace.current_user.short_name}": user.short_name,
        "${bundle.environment}": target,
        _LATER: _HIDDEN,
    }

    def change(text: str) -> str:
        for old, new in known.items():
            text = text.replace(old, new)
        return text

    return change


def _referring(text: str) -> str:
    return text.replace(_HIDDEN, _LATER)


def _mapped(value: Any, change: Callable[[str], str]) -> Any:
    """A copy with every text changed; the places stay."""
    if isinstance(value, YamlMapping):
        section = YamlMapping()
        for key, entry in value.items():
            section.put(key, _mapped(entry, change), value.marks[key])
        return section
    if isinstance(value, YamlList):
        items = YamlList()
        for entry, mark in zip(value, value.marks, strict=True):
            items.put(_mapped(entry, change), mark)
        return items
    return change(value) if isinstance(value, str) else value
