"""Compares our merged configuration with the CLI's: a deploy needs both to be equal."""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from delivery.config.bundle import Bundle, from_plain, merge
from delivery.config.includes import ROOT_FILE
from delivery.config.model import ANCHOR_PREFIX
from delivery.config.references import FULL_DEFINITIONS
from delivery.config.scalars import as_text
from delivery.config.yaml import Mark, YamlList, YamlMapping
from delivery.redaction import is_secret

# Keys of a target that the CLI prints below `bundle`, under these names.
_BUNDLE_KEYS = {"cluster_id": "cluster_id", "compute_id": "cluster_id", "git": "git"}
_NO_MARK = Mark(ROOT_FILE, 0)
_MAX_LENGTH = 120


class Difference(NamedTuple):
    """A value that the CLI reads differently; None means that it is missing."""

    path: str
    ours: Any
    cli: Any

    def __str__(self) -> str:
        """The difference in one line, with secrets hidden."""
        ours, cli = self._shown(self.ours), self._shown(self.cli)
        return f"{self.path}: given {ours}, but the CLI reads {cli}; write it unambiguously"

    def _shown(self, value: Any) -> str:
        key = self.path.rpartition(".")[2]
        hidden = isinstance(value, str) and is_secret(key, value)
        return "nothing" if value is None else "(hidden)" if hidden else repr(value)[:_MAX_LENGTH]


def differences(bundle: Bundle, target: str, cli_tree: Mapping[str, Any]) -> list[Difference]:
    """Every difference between our merged tree of a target and the CLI's.

    Neither tree has its references resolved, so equal trees also resolve to equal values.
    """
    theirs = from_plain(cli_tree)
    if theirs.section("sync").get("paths") == ["."]:  # the default of some versions
        del theirs["sync"]["paths"]
    return list(_differences(from_plain(_as_the_cli(bundle, target)), theirs, ""))


def _as_the_cli(bundle: Bundle, target: str) -> YamlMapping:
    """Our tree of a target, in the form that the CLI prints."""
    tree = YamlMapping()
    for key, value in bundle.tree_for_target(target).items():
        if not key.startswith(ANCHOR_PREFIX):
            tree.put(key, value, _NO_MARK)
    of_bundle = YamlMapping()
    for key, name in _BUNDLE_KEYS.items():
        if key in bundle.target(target):
            of_bundle.put(name, tree.pop(key), _NO_MARK)
    tree.put("include", [*bundle.files[1:]], _NO_MARK)
    tree.put("variables", _variables(bundle, target), _NO_MARK)
    for key in ("target", "environment"):
        of_bundle.put(key, target, _NO_MARK)
    tree.put("bundle", merge(tree.section("bundle"), of_bundle), _NO_MARK)
    return tree


def _variables(bundle: Bundle, target: str) -> dict[str, Any]:
    """The definition of every variable; the target replaces its default or lookup."""
    known: dict[str, Any] = {**bundle.tree.section("variables")}
    for name, given in bundle.target(target).section("variables").items():
        is_definition = isinstance(given, YamlMapping) and {*given} in FULL_DEFINITIONS
        override = given if is_definition else {"default": given}
        declared = known.get(name)
        definition = {**declared} if isinstance(declared, YamlMapping) else {}
        for key, replaced in (("default", "lookup"), ("lookup", "default")):
            if key in override:
                definition[key] = override[key]
                definition.pop(replaced, None)
        known[name] = definition
    return known


def _differences(ours: Any, cli: Any, path: str) -> Iterator[Difference]:
    if _is_empty(ours) and _is_empty(cli):
        return
    if isinstance(ours, YamlMapping) and isinstance(cli, YamlMapping):
        for key in dict.fromkeys([*ours, *cli]):
            yield from _differences(ours.get(key), cli.get(key), f"{path}.{key}".lstrip("."))
    elif isinstance(ours, YamlList) and isinstance(cli, YamlList):
        for index in range(max(len(ours), len(cli))):
            first, second = (e[index] if index < len(e) else None for e in (ours, cli))
            yield from _differences(first, second, f"{path}[{index}]")
    elif not _is_same(ours, cli):
        yield Difference(path, ours, cli)


def _is_empty(value: Any) -> bool:
    """Whether a value is unset or has no entries; the CLI drops some of these."""
    return value is None or (isinstance(value, YamlMapping | YamlList) and not value)


def _is_same(ours: Any, cli: Any) -> bool:
    """Whether two scalars are equal; the CLI converts numbers and strings to the field's type."""
    if isinstance(ours, str) and isinstance(cli, bool):
        return ours.lower() == as_text(cli)
    return as_text(ours) == as_text(cli)
