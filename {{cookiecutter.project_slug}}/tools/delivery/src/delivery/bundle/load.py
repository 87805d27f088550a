"""From files to one tree for each target: includes, merging, overrides."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from delivery.bundle.document import Items, Mark, Section, kind_of, read_yaml
from delivery.bundle.includes import ROOT_FILES, is_refused, reached
from delivery.errors import DeliveryError, Finding, InvalidFileError

ROOT_FILE = ROOT_FILES[0]

TARGET_ONLY = {"default", "mode", "variables"}

# What is read when `databricks.yml` cannot say it.
_USUAL = ("targets/*.yml", "resources/*/*.yml")
_MAPPINGS = (
    "bundle",
    "presets",
    "resources",
    "run_as",
    "sync",
    "targets",
    "variables",
    "workspace",
)

# Lists whose entries are the same one when this key of theirs is.
_ENTRY_KEYS = {
    "tasks": "task_key",
    "job_clusters": "job_cluster_key",
    "environments": "environment_key",
    "parameters": "name",
}


@dataclass(frozen=True)
class Bundle:
    """All files of the bundle in one tree, targets not applied yet.

    Attributes:
        root: the folder of `databricks.yml`.
        files: what was read, in order, relative to `root`.
        tree: the merged content.
        broken: why some of it could not be read; the tree is without those files.
    """

    root: Path
    files: tuple[str, ...]
    tree: Section
    broken: tuple[Finding, ...] = ()

    @property
    def targets(self) -> tuple[str, ...]:
        """The names of the targets, in the order they were read."""
        return tuple(self.tree.section("targets"))

    def target(self, name: str) -> Section:
        """The overrides of one target.

        Raises:
            DeliveryError: there is no such target.
        """
        if name not in self.targets:
            known = ", ".join(self.targets)
            raise DeliveryError(f"target: given {name!r}, expected one of {known}")
        return self.tree.section("targets").section(name)

    def with_target(self, name: str) -> Section:
        """The tree as it is for one target, references not resolved yet."""
        target = self.target(name)
        tree = merged(Section(), self.tree)
        del tree["targets"]
        overrides = Section()
        for key, value in target.items():
            if key not in TARGET_ONLY:
                overrides.put(key, value, target.marks[key])
        tree = merged(tree, overrides)
        if "run_as" in target:  # one identity takes the place of another
            tree.put("run_as", target["run_as"], target.marks["run_as"])
        if "mode" in target:
            tree.section("bundle").put("mode", target["mode"], target.marks["mode"])
        return tree


def load(root: Path) -> Bundle:
    """Read `databricks.yml` and all that it includes.

    Raises:
        InvalidFileError: a file is missing, is no YAML, or declares a resource a second time; all
            such files are told.
    """
    bundle = survey(root)
    if bundle.broken:
        raise InvalidFileError(*bundle.broken)
    return bundle


def survey(root: Path) -> Bundle:
    """Read what can be read, and tell what cannot."""
    tree, _ = _with_file(root, ROOT_FILE, Section())
    patterns = [str(pattern) for pattern in tree.items_of("include")] if tree else _USUAL
    found = {p: reached(root, p) for p in patterns if not is_refused(p)}
    every = dict.fromkeys(file for names in found.values() for file in names)
    bundle = of_files(root, [file for file in every if file not in ROOT_FILES])
    return replace(bundle, broken=(*bundle.broken, *_missing(tree, found)))


def of_files(root: Path, files: Iterable[str]) -> Bundle:
    """The bundle of `databricks.yml` and these files, in their order."""
    tree, broken = Section(), []
    read = (ROOT_FILE, *files)
    for file in read:
        tree, more = _with_file(root, file, tree)
        broken += more
    return Bundle(root, read, tree, tuple(broken))


def _with_file(root: Path, file: str, tree: Section) -> tuple[Section, list[Finding]]:
    """The tree with one more file in it; as it was when the file cannot be taken."""
    try:
        document = read_yaml(root, file)
    except InvalidFileError as error:
        return tree, list(error.findings)
    found = [*_misshapen(document), *_declared_twice(tree, document)]
    return (tree, found) if found else (merged(tree, document), [])


def _missing(tree: Section, found: Mapping[str, list[str]]) -> Iterator[Finding]:
    """Files that are named, without a star, and are not there."""
    patterns = tree.items_of("include")
    for pattern, mark in zip(map(str, patterns), patterns.marks, strict=True):
        if not found.get(pattern, True) and not {*"*?"} & {*pattern}:
            message = f"include: given {pattern}, expected a file that exists"
            mend = "Add the file, or write a pattern, which may find nothing: release*.yml"
            yield Finding(mark.file, mark.line, "include", message, mend)


def _misshapen(section: Section) -> Iterator[Finding]:
    """What must be a list, or keys and values, and is something else."""
    if not _may_be(section.get("include"), Items):
        yield _kind_finding(section, "include", "a list", "include: [targets/*.yml]")
    kinds, targets = section.section("resources"), section.section("targets")
    for parent, keys in ((section, _MAPPINGS), (kinds, kinds), (targets, targets)):
        for key in keys:
            if not _may_be(parent.get(key), Section):
                yield _kind_finding(parent, key, "keys and values", f"{key}: {{name: value}}")
    for name in targets:
        yield from _misshapen(targets.section(name))


def _may_be(value: Any, kind: type) -> bool:
    """Whether a value is of a kind, or nothing, or stands for what a variable has."""
    return value is None or isinstance(value, kind) or str(value).startswith("${")


def _kind_finding(section: Section, key: str, expected: str, example: str) -> Finding:
    message = f"{key}: given {kind_of(section[key])}, expected {expected}"
    return Finding(*section.marks[key], "model", message, f"Such as {example}")


def merged(base: Section, over: Section) -> Section:
    """`base` with `over` laid on it: mappings merge, lists grow, other values are replaced.

    What is merged stands where it was declared first.
    """
    result = Section()
    for key in dict.fromkeys([*base, *over]):
        source = over if key in over else base
        value = source[key]
        if key in base and key in over:
            value = _merged_value(key, base[key], over[key])
            source = over if value is over[key] else base
        result.put(key, value, source.marks[key])
    return result


def _merged_value(key: str, base: Any, over: Any) -> Any:
    if isinstance(base, Section) and isinstance(over, Section):
        return merged(base, over)
    if isinstance(base, Items) and isinstance(over, Items):
        return _merged_items(base, over, _ENTRY_KEYS.get(key))
    return base if over is None else over


def _merged_items(base: Items, over: Items, entry_key: str | None) -> Items:
    result = Items()
    for value, mark in [*zip(base, base.marks, strict=True), *zip(over, over.marks, strict=True)]:
        same = _position(result, value, entry_key)
        if same is None:
            result.put(value, mark)
        else:
            result[same] = merged(result[same], value)
    return result


def folded(value: Any, key: str = "") -> Any:
    """A tree from elsewhere as one of ours, with entries of the same name merged."""
    if isinstance(value, Mapping):
        section = Section()
        for name, entry in value.items():
            section.put(name, folded(entry, name), Mark(ROOT_FILE, 0))
        return section
    if isinstance(value, list):
        items = Items()
        for entry in value:
            items.put(folded(entry), Mark(ROOT_FILE, 0))
        return _merged_items(Items(), items, _ENTRY_KEYS.get(key))
    return value


def _position(entries: Items, value: Any, entry_key: str | None) -> int | None:
    if entry_key is None or not isinstance(value, Section):
        return None
    names = [entry.get(entry_key) if isinstance(entry, Section) else None for entry in entries]
    name = value.get(entry_key)
    return names.index(name) if name is not None and name in names else None


def _declared_twice(tree: Section, document: Section) -> Iterator[Finding]:
    """The CLI knows resources by key alone, whatever their kind."""
    known = {
        key: kind_section.marks[key]
        for kind_section in tree.section("resources").values()
        if isinstance(kind_section, Section)
        for key in kind_section
    }
    for kind_section in document.section("resources").values():
        for key in kind_section if isinstance(kind_section, Section) else ():
            if key in known:
                file, line = kind_section.marks[key]
                message = (
                    f"resource {key} is declared in {known[key].file}:{known[key].line} already"
                )
                yield Finding(file, line, "duplicate", message, f"Rename one, such as {key}_2.")
            known[key] = kind_section.marks[key]
