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

# Lists whose entries the CLI identifies by a key: those with the same value are merged. Others,
# such as a job's environments, only grow.
_ENTRY_KEYS = {
    "jobs.tasks": "task_key",
    "jobs.job_clusters": "job_cluster_key",
    "jobs.parameters": "name",
    "pipelines.clusters": "label",
    "apps.resources": "name",
}
_GRANTED = (
    *("catalogs", "external_locations", "registered_models", "schemas"),
    *("secrets", "vector_search_indexes", "volumes"),
)
_DEFAULT_LABEL = "default"  # of a pipeline's cluster without one
Keys = tuple[str, ...]


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
            settings = merge(tree.section("bundle"), YamlMapping())
            settings.put("mode", target["mode"], target.marks["mode"])
            tree.put("bundle", settings, tree.marks.get("bundle", target.marks["mode"]))
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


def merge(base: YamlMapping, over: YamlMapping, path: Keys = ()) -> YamlMapping:
    """`base` overridden by `over`: mappings merge, lists grow, other values are replaced.

    A merged value keeps the mark of its first declaration.

    Args:
        path: the keys from the root of the bundle to both.
    """
    result = YamlMapping()
    for key in dict.fromkeys([*base, *over]):
        source = over if key in over else base
        value = source[key]
        if key in base and key in over:
            value = _merged_value((*path, key), base[key], over[key])
            source = over if value is over[key] else base
        result.put(key, value, source.marks[key])
    return result


def _merged_value(path: Keys, base: Any, over: Any) -> Any:
    if isinstance(base, YamlMapping) and isinstance(over, YamlMapping):
        return merge(base, over, path)
    if isinstance(base, YamlList) and isinstance(over, YamlList):
        return _merged_items(base, over, path)
    return base if over is None else over


def _merged_items(base: YamlList, over: YamlList, path: Keys) -> YamlList:
    result, names = YamlList(), list[str | None]()
    for value, mark in [*zip(base, base.marks, strict=True), *zip(over, over.marks, strict=True)]:
        name = _entry_name(value, path)
        if path[1:2] == ("pipelines",) and name is not None and value.get("label") != name:
            value = _labelled(value, name, mark)
        if name is None or name not in names:
            result.put(value, mark)
            names.append(name)
            continue
        index = names.index(name)
        if path[1] == "apps":  # the later entry takes the place of the earlier one
            result[index] = value
        else:
            result[index] = merge(result[index], value)
    if path[3:] == ("grants",):
        for entry in filter(_has_privileges, result):
            _drop_repeated(entry)
    return result


def _entry_name(value: Any, path: Keys) -> str | None:
    """The name by which an entry of the list at `path` is merged; None if it is not."""
    if len(path) != 4 or path[0] != "resources" or not isinstance(value, YamlMapping):
        return None
    _, kind, _, field = path
    key = "principal" if field == "grants" and kind in _GRANTED else ""
    key = key or _ENTRY_KEYS.get(f"{kind}.{field}", "")
    name = value.get(key)
    if key == "label":
        return str(name or _DEFAULT_LABEL).lower()
    return str(name) if key and name is not None else None


def _labelled(cluster: YamlMapping, label: str, mark: Mark) -> YamlMapping:
    """The cluster of a pipeline with the label that the CLI writes."""
    result = merge(cluster, YamlMapping())
    result.put("label", label, cluster.marks.get("label", mark))
    return result


def _has_privileges(entry: Any) -> bool:
    return isinstance(entry, YamlMapping) and bool(entry.items_of("privileges"))


def _drop_repeated(grant: YamlMapping) -> None:
    """Name each privilege once."""
    given, once = grant.items_of("privileges"), YamlList()
    for privilege, mark in zip(given, given.marks, strict=True):
        if privilege not in once:
            once.put(privilege, mark)
    grant.put("privileges", once, grant.marks["privileges"])


def from_plain(value: Any, path: Keys = ()) -> Any:
    """A tree of plain mappings and lists as one without marks; entries of one name are merged."""
    if isinstance(value, Mapping):
        section = YamlMapping()
        for name, entry in value.items():
            section.put(name, from_plain(entry, (*path, name)), Mark(ROOT_FILE, 0))
        return section
    if isinstance(value, list):
        items = YamlList()
        for entry in value:
            items.put(from_plain(entry, (*path, "[]")), Mark(ROOT_FILE, 0))
        return _merged_items(YamlList(), items, path)
    return value


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
