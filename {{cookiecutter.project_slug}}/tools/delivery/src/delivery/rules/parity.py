"""Released targets are alike, but for what the policy lets differ."""

import fnmatch
from collections.abc import Iterator, Sequence
from itertools import pairwise

from delivery.bundle import Bundle, Section
from delivery.diff import differences
from delivery.errors import Finding

RULE = "parity"


def check_parity(
    bundle: Bundle, released: Sequence[str], may_differ: Sequence[str]
) -> Iterator[Finding]:
    """Every difference between neighbours in the order of promotion, references not resolved."""
    for one, other in pairwise(released):
        first, second = _target(bundle, one), _target(bundle, other)
        for found in differences(first, second):
            if not any(_matches(found.path, pattern) for pattern in may_differ):
                mark = _mark(second, found.path) or _mark(first, found.path)
                file, line = mark or ("databricks.yml", 0)
                message = f"{found.path}: {one} has {found.first!r}, {other} has {found.second!r}"
                mend = "Make them alike, or add the path to may_differ in delivery.yml."
                yield Finding(file, line, RULE, message, mend)


def _matches(path: str, pattern: str) -> bool:
    """Stars are the only wildcard; a pattern covers what is below it."""
    literal = pattern.replace("[", "[[]")
    return any(fnmatch.fnmatchcase(path, p) for p in (literal, f"{literal}.*"))


def _target(bundle: Bundle, name: str) -> Section:
    tree = bundle.with_target(name)
    variables = bundle.target(name)
    if "variables" in variables:
        tree.put("variables", variables["variables"], variables.marks["variables"])
    return tree


def _mark(tree: Section, path: str) -> tuple[str, int] | None:
    """Where the deepest part of a path stands that is there."""
    mark: tuple[str, int] | None = None
    for step in path.split("."):
        if step not in tree:
            break
        mark, tree = tree.marks[step], tree.section(step)
    return mark
