"""`catalog`: a target uses its own catalog, so that dev never writes into prod."""

import re
from collections.abc import Iterator

from delivery.checks.registry import CheckContext, rule
from delivery.config.references import value_of
from delivery.config.yaml import string_values
from delivery.errors import Finding

RULE = "catalog"
VARIABLE = "catalog"


@rule(RULE, scope="target")
def check_catalog(context: CheckContext, target: str) -> Iterator[Finding]:
    """Values with the name of another target's catalog."""
    catalogs = {name: value_of(context.bundle, name, VARIABLE) for name in context.bundle.targets}
    own = catalogs.pop(target)
    others = {catalog: name for name, catalog in catalogs.items() if catalog not in ("", own)}
    if not others:
        return
    named = re.compile(rf"(?<![\w-])({'|'.join(map(re.escape, others))})(?![\w-])")
    resources = context.targets[target].tree.section("resources")
    for key, text, mark in string_values(resources):
        found = named.search(text)
        if found:
            message = f"{key}: given {text}, with the catalog of {others[found[1]]}"
            hint = f"Write ${{var.{VARIABLE}}}, the catalog of each target."
            yield Finding(*mark, RULE, message, hint)
