"""From files to one tree for each target: includes, merging, overrides."""

import glob
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from delivery.bundle.document import Items, Section, read_yaml
from delivery.errors import DeliveryError, Finding, InvalidFileError

ROOT_FILE = "databricks.yml"
TARGET_ONLY = {"default", "mode", "variables"}

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
    """

    root: Path
    files: tuple[str, ...]
    tree: Section

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
        if "mode" in target:
            tree.section("bundle").put("mode", target["mode"], target.marks["mode"])
        return tree


def load(root: Path) -> Bundle:
    """Read `databricks.yml` and all that it includes.

    Raises:
        InvalidFileError: a file is missing, is no YAML, or declares a resource a second time.
    """
    tree = read_yaml(root, ROOT_FILE)
    files = included(root, tree)
    for file in files:
        document = read_yaml(root, file)
        _refuse_second_declaration(tree, document)
        tree = merged(tree, document)
    return Bundle(root, (ROOT_FILE, *files), tree)


def included(root: Path, tree: Section) -> list[str]:
    """The files that `include` reaches, as the CLI finds them: `**` means the same as `*`."""
    files: list[str] = []
    patterns = tree.items_of("include")
    for pattern, mark in zip(patterns, patterns.marks, strict=True):
        found = sorted(glob.glob(str(pattern).replace("**", "*"), root_dir=root))
        if not found and not glob.has_magic(str(pattern)):
            message = f"include: given {pattern}, expected a file that exists"
            raise InvalidFileError(Finding(mark.file, mark.line, "include", message))
        files += [Path(file).as_posix() for file in found]
    return [file for file in dict.fromkeys(files) if file != ROOT_FILE]


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
    return over


def _merged_items(base: Items, over: Items, entry_key: str | None) -> Items:
    result = Items()
    for value, mark in [*zip(base, base.marks, strict=True), *zip(over, over.marks, strict=True)]:
        same = _position(result, value, entry_key)
        if same is None:
            result.put(value, mark)
        else:
            result[same] = merged(result[same], value)
    return result


def _position(entries: Items, value: Any, entry_key: str | None) -> int | None:
    if entry_key is None or not isinstance(value, Section):
        return None
    names = [entry.get(entry_key) if isinstance(entry, Section) else None for entry in entries]
    name = value.get(entry_key)
    return names.index(name) if name is not None and name in names else None


def _refuse_second_declaration(tree: Section, document: Section) -> None:
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
                raise InvalidFileError(Finding(file, line, "duplicate", message))
            known[key] = kind_section.marks[key]
