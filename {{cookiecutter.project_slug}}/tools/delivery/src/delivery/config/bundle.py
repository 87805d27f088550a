"""Reads the bundle's files and merges them into one tree for each target."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any

from delivery.config.includes import ROOT_FILE, ROOT_FILES, is_refused, matching_paths
from delivery.config.yaml import Mark, YamlList, YamlMapping, kind_of, read_yaml
from delivery.errors import DeliveryError, Finding, InvalidFileError

_TARGET_ONLY = {"default", "mode", "variables"}

# The includes to read if `databricks.yml` itself is broken.
_DEFAULT_INCLUDES = ("targets/*.yml", "resources/*/*.yml")
# The top-level keys with a mapping; a delivered bundle may have all of them, see `untrusted`.
TOP_LEVEL_MAPPINGS = (
    "bundle",
    "presets",
    "resources",
    "run_as",
    "sync",
    "targets",
    "variables",
    "workspace",
)

# The key that identifies the entries of a list: entries with the same value are merged.
_ENTRY_KEYS = {
    "tasks": "task_key",
    "job_clusters": "job_cluster_key",
    "environments": "environment_key",
    "parameters": "name",
}


@dataclass(frozen=True)
class Bundle:
    """All files of the bundle in one tree, before target overrides.

    Attributes:
        root: the folder of `databricks.yml`.
        files: the files read, in order, relative to `root`.
        tree: the merged content, without broken files.
        broken: what is wrong with the broken files.
    """

    root: Path
    files: tuple[str, ...]
    tree: YamlMapping
    broken: tuple[Finding, ...] = ()

    @property
    def targets(self) -> tuple[str, ...]:
        """The names of the targets, in the order of the files."""
        return tuple(self.tree.section("targets"))

    def target(self, name: str) -> YamlMapping:
        """The overrides of one target.

        Raises:
            DeliveryError: the target does not exist.
        """
        if name not in self.targets:
            known = ", ".join(self.targets)
            raise DeliveryError(f"target: given {name!r}, expected one of {known}")
        return self.tree.section("targets").section(name)

    def tree_for_target(self, name: str) -> YamlMapping:
        """The tree of one target, with unresolved references."""
        target = self.target(name)
        tree = merge(YamlMapping(), self.tree)
        del tree["targets"]
        overrides = YamlMapping()
        for key, value in target.items():
            if key not in _TARGET_ONLY:
                overrides.put(key, value, target.marks[key])
        tree = merge(tree, overrides)
        if "run_as" in target:  # replaces the identity, does not merge with it
            tree.put("run_as", target["run_as"], target.marks["run_as"])
        if "mode" in target:
            tree.section("bundle").put("mode", target["mode"], target.marks["mode"])
        return tree


def load_bundle(root: Path) -> Bundle:
    """Read `databricks.yml` and the files that it includes.

    Raises:
        InvalidFileError: a file is missing, is not valid YAML, or declares a resource again. The
            error lists all such files.
    """
    bundle = load_bundle_partial(root)
    if bundle.broken:
        raise InvalidFileError(*bundle.broken)
    return bundle


def load_bundle_partial(root: Path) -> Bundle:
    """Read the valid files; findings about the others are in `broken`."""
    tree, _ = _with_file(root, ROOT_FILE, YamlMapping())
    patterns = [str(pattern) for pattern in tree.items_of("include")] if tree else _DEFAULT_INCLUDES
    found = {p: matching_paths(root, p) for p in patterns if not is_refused(p)}
    every = dict.fromkeys(file for names in found.values() for file in names)
    bundle = load_files(root, [file for file in every if file not in ROOT_FILES])
    return replace(bundle, broken=(*bundle.broken, *_missing(tree, found)))


def load_files(root: Path, files: Iterable[str]) -> Bundle:
    """The bundle that consists of `databricks.yml` and these files, in this order."""
    tree, broken = YamlMapping(), []
    files = (ROOT_FILE, *files)
    for file in files:
        tree, findings = _with_file(root, file, tree)
        broken += findings
    return Bundle(root, files, tree, tuple(broken))


def _with_file(root: Path, file: str, tree: YamlMapping) -> tuple[YamlMapping, list[Finding]]:
    """The tree with this file merged into it; a file with findings is left out."""
    try:
        document = read_yaml(root, file)
    except InvalidFileError as error:
        return tree, list(error.findings)
    findings = [*_wrong_kinds(document), *_duplicates(tree, document)]
    return (tree, findings) if findings else (merge(tree, document), [])


def _missing(tree: YamlMapping, found: Mapping[str, list[str]]) -> Iterator[Finding]:
    """Includes without wildcards whose file does not exist."""
    patterns = tree.items_of("include")
    for pattern, mark in zip(map(str, patterns), patterns.marks, strict=True):
        if not found.get(pattern, True) and not {*"*?"} & {*pattern}:
            message = f"include: given {pattern}, expected a file that exists"
            hint = "Add the file, or use a pattern, which may match no file: release*.yml"
            yield Finding(mark.file, mark.line, "include", message, hint)


def _wrong_kinds(section: YamlMapping) -> Iterator[Finding]:
    """Values that are not the list or mapping that they must be."""
    if not _is_kind(section.get("include"), YamlList):
        yield _wrong_kind(section, "include", "a list", "include: [targets/*.yml]")
    kinds, targets = section.section("resources"), section.section("targets")
    for parent, keys in ((section, TOP_LEVEL_MAPPINGS), (kinds, kinds), (targets, targets)):
        for key in keys:
            if not _is_kind(parent.get(key), YamlMapping):
                yield _wrong_kind(parent, key, "a mapping", f"{key}: {{name: value}}")
    for name in targets:
        yield from _wrong_kinds(targets.section(name))


def _is_kind(value: Any, kind: type) -> bool:
    """Whether a value is of this kind, is unset, or is a reference that may be of this kind."""
    return value is None or isinstance(value, kind) or str(value).startswith("${")


def _wrong_kind(section: YamlMapping, key: str, expected: str, example: str) -> Finding:
    message = f"{key}: given {kind_of(section[key])}, expected {expected}"
    return Finding(*section.marks[key], "model", message, f"Example: {example}")


def merge(base: YamlMapping, over: YamlMapping) -> YamlMapping:
    """`base` overridden by `over`: mappings merge, lists grow, other values are replaced.

    A merged value keeps the mark of its first declaration.
    """
    result = YamlMapping()
    for key in dict.fromkeys([*base, *over]):
        source = over if key in over else base
        value = source[key]
        if key in base and key in over:
            value = _merged_value(key, base[key], over[key])
            source = over if value is over[key] else base
        result.put(key, value, source.marks[key])
    return result


def _merged_value(key: str, base: Any, over: Any) -> Any:
    if isinstance(base, YamlMapping) and isinstance(over, YamlMapping):
        return merge(base, over)
    if isinstance(base, YamlList) and isinstance(over, YamlList):
        return _merged_items(base, over, _ENTRY_KEYS.get(key))
    return base if over is None else over


def _merged_items(base: YamlList, over: YamlList, entry_key: str | None) -> YamlList:
    result = YamlList()
    for value, mark in [*zip(base, base.marks, strict=True), *zip(over, over.marks, strict=True)]:
        index = _index_of(result, value, entry_key)
        if index is None:
            result.put(value, mark)
        else:
            result[index] = merge(result[index], value)
    return result


def from_plain(value: Any, key: str = "") -> Any:
    """A tree of plain mappings and lists as one without marks; entries of one name are merged."""
    if isinstance(value, Mapping):
        section = YamlMapping()
        for name, entry in value.items():
            section.put(name, from_plain(entry, name), Mark(ROOT_FILE, 0))
        return section
    if isinstance(value, list):
        items = YamlList()
        for entry in value:
            items.put(from_plain(entry), Mark(ROOT_FILE, 0))
        return _merged_items(YamlList(), items, _ENTRY_KEYS.get(key))
    return value


def _index_of(entries: YamlList, value: Any, entry_key: str | None) -> int | None:
    if entry_key is None or not isinstance(value, YamlMapping):
        return None
    names = [entry.get(entry_key) if isinstance(entry, YamlMapping) else None for entry in entries]
    name = value.get(entry_key)
    return names.index(name) if name is not None and name in names else None


def _duplicates(tree: YamlMapping, document: YamlMapping) -> Iterator[Finding]:
    """Resources that exist already; the CLI requires keys to be unique across all kinds."""
    known = {
        key: kind_section.marks[key]
        for kind_section in tree.section("resources").values()
        if isinstance(kind_section, YamlMapping)
        for key in kind_section
    }
    for kind_section in document.section("resources").values():
        for key in kind_section if isinstance(kind_section, YamlMapping) else ():
            if key in known:
                file, line = kind_section.marks[key]
                first = f"{known[key].file}:{known[key].line}"
                message = f"resource {key}: already declared in {first}"
                yield Finding(file, line, "duplicate", message, f"Rename one, such as {key}_2.")
            known[key] = kind_section.marks[key]


def resources_of(tree: YamlMapping) -> Iterator[tuple[str, str, YamlMapping, Mark]]:
    """Every resource: its kind, key, content and mark."""
    kinds = tree.section("resources")
    for kind in kinds:
        for key in kinds.section(kind):
            yield kind, key, kinds.section(kind).section(key), kinds.section(kind).marks[key]


def domain_of(file: str) -> str:
    """The domain that a file belongs to; empty for files that are not in resources/DOMAIN/."""
    folder = PurePosixPath(file).parent
    return folder.name if folder.parent == PurePosixPath("resources") else ""
