"""`variable`: each variable has a value on each target, and each value a declaration."""

from collections.abc import Iterator
from typing import Any

from delivery.checks.registry import CheckContext, rule
from delivery.config.closest import closest
from delivery.config.target import UNKNOWN_RELEASE
from delivery.config.yaml import Mark, YamlMapping
from delivery.errors import Finding

RULE = "variable"
_VALUES = ("default", "value")


@rule(RULE, needs="bundle")
def check_variable(context: CheckContext) -> Iterator[Finding]:
    """Variables without a value on a target, and values of undeclared variables."""
    bundle = context.bundle
    declared = bundle.tree.section("variables")
    for name in declared:
        yield from _without_value(context, name, declared[name], declared.marks[name])
    for target in bundle.targets:
        yield from _undeclared(bundle.target(target).section("variables"), declared, target)


def _without_value(
    context: CheckContext, name: str, declaration: Any, mark: Mark
) -> Iterator[Finding]:
    """The targets on which a variable has no value; a release brings those of its own."""
    settings = declaration if isinstance(declaration, YamlMapping) else YamlMapping()
    is_other = declaration is not None and not isinstance(declaration, YamlMapping)
    has_value = settings.get("lookup") or any(settings.get(k) is not None for k in _VALUES)
    if is_other or has_value or name in UNKNOWN_RELEASE:
        return
    bundle = context.bundle
    lacking = [
        target
        for target in bundle.targets
        if bundle.target(target).section("variables").get(name) is None
    ]
    if lacking:
        message = f"variable {name}: no value on {', '.join(lacking)}"
        hint = f"Give it a default, or set it in targets/{lacking[0]}.yml: variables: {{{name}: x}}"
        yield Finding(*mark, RULE, message, hint)


def _undeclared(given: YamlMapping, declared: YamlMapping, target: str) -> Iterator[Finding]:
    for name in given:
        if name not in declared:
            near = closest(name, declared)
            expected = near or ", ".join(declared) or "none"
            message = f"{target}: variable {name} is not declared, expected {expected}"
            hint = (
                f"Write {near} for {name}."
                if near
                else f"Declare it in databricks.yml: variables: {{{name}: {{description: …}}}}"
            )
            yield Finding(*given.marks[name], RULE, message, hint)
