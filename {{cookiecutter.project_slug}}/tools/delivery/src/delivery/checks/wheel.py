"""`wheel`: the wheel that a target names is the one that the project builds."""

import re
from collections.abc import Iterator

from delivery.checks.registry import CheckContext, rule
from delivery.errors import Finding

RULE = "wheel"
_WHEEL = re.compile(r"(?P<name>[\w.]+)-(?P<version>[^-]+)-py3-none-any\.whl")


@rule(RULE, needs="bundle")
def check_wheel(context: CheckContext) -> Iterator[Finding]:
    """Wheels with another name or version than `pyproject.toml` has."""
    for target in context.bundle.targets:
        variables = context.bundle.target(target).section("variables")
        given = _WHEEL.fullmatch(str(variables.get("wheel", "")))
        if given is None:
            continue
        project = context.code.project
        expected = f"{_file_name(project.get('name'))}-{project.get('version')}-py3-none-any.whl"
        if given[0] != expected:
            message = f"{target}: wheel: given {given[0]}, expected {expected}, which is built"
            hint = f'wheel: "{expected}", or the version of pyproject.toml: {given["version"]}'
            yield Finding(*variables.marks["wheel"], RULE, message, hint)


def _file_name(project: object) -> str:
    """The name of a project in the name of its wheel."""
    return re.sub(r"[-_.]+", "_", str(project)).lower()
