"""`parity`: released targets are equal, except for paths in the policy's `may_differ`."""

import fnmatch
from collections.abc import Iterator
from itertools import pairwise

from delivery.checks.registry import CheckContext, rule
from delivery.config.bundle import Bundle
from delivery.config.diff import differences
from delivery.config.yaml import YamlMapping
from delivery.errors import Finding

RULE = "parity"


@rule("parity", needs="bundle")
def check_parity(context: CheckContext) -> Iterator[Finding]:
    """Differences between each target and the next in promotion order, references unresolved."""
    bundle, may_differ = context.bundle, context.policy.may_differ
    for lower, upper in pairwise(context.released):
        first, second = _target(bundle, lower), _target(bundle, upper)
        for found in differences(first, second):
            if not any(_matches(found.path, pattern) for pattern in may_differ):
                mark = _mark(second, found.path) or _mark(first, found.path)
                file, line = mark or ("databricks.yml", 0)
                message = f"{found.path}: {lower} has {found.first!r}, {upper} has {found.second!r}"
                hint = "Make them equal, or add the path to may_differ in delivery.yml."
                yield Finding(file, line, RULE, message, hint)


def _matches(path: str, pattern: str) -> bool:
    """Whether a pattern, in which `*` is a wildcard, covers a path or one of its parents."""
    literal = pattern.replace("[", "[[]")
    return any(fnmatch.fnmatchcase(path, p) for p in (literal, f"{literal}.*"))


def _target(bundle: Bundle, name: str) -> YamlMapping:
    tree, target = bundle.tree_for_target(name), bundle.target(name)
    if "variables" in target:
        tree.put("variables", target["variables"], target.marks["variables"])
    return tree


def _mark(tree: YamlMapping, path: str) -> tuple[str, int] | None:
    """The mark of the deepest part of a path that exists."""
    mark: tuple[str, int] | None = None
    for step in path.split("."):
        if step not in tree:
            break
        mark, tree = tree.marks[step], tree.section(step)
    return mark
