"""`catalog`: a target uses its own catalog, so that dev never writes into prod."""

import re
from collections.abc import Iterator

from delivery.checks.registry import CheckContext, rule
from delivery.config.references import value_of
from delivery.errors import Finding

RULE = "catalog"
VARIABLE = "catalog"
_CODE = (".ipynb", ".json", ".py", ".r", ".R", ".scala", ".sql")


@rule(RULE, scope="target")
def check_catalog(context: CheckContext, target: str) -> Iterator[Finding]:
    """Values with the name of another target's catalog."""
    others = _catalogs(context)
    others.pop(value_of(context.bundle, target, VARIABLE), None)
    if not others:
        return
    named = re.compile(rf"(?<![\w-])({'|'.join(map(re.escape, others))})(?![\w-])")
    texts = context.targets[target].texts
    if not named.search("\n".join(text for _, text, _ in texts)):
        return
    for key, text, mark in texts:
        found = named.search(text)
        if found:
            message = f"{key}: given {text}, with the catalog of {others[found[1]]}"
            hint = f"Write ${{var.{VARIABLE}}}, the catalog of each target."
            yield Finding(*mark, RULE, message, hint)


@rule("literal")
def check_literal(context: CheckContext) -> Iterator[Finding]:
    """Code with the name of a catalog: it would use that one on every target."""
    catalogs = _catalogs(context)
    if not catalogs:
        return
    # A catalog may have the name of a common word: only whole names of tables and volumes count.
    names = "|".join(map(re.escape, catalogs))
    named = re.compile(rf"(?<![\w.-])`?({names})`?\.`?\w+`?\.`?\w|/Volumes/({names})/")
    for file in sorted(p for p in (context.root / "src").rglob("*") if p.suffix in _CODE):
        try:
            lines = file.read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError):
            continue
        for number, line in enumerate(lines, start=1):
            if found := named.search(line):
                name = file.relative_to(context.root).as_posix()
                catalog = found[1] or found[2]
                message = f"given {catalog}, the catalog of {catalogs[catalog]}, in code"
                hint = "Pass ${var.catalog} as a parameter, and use that."
                yield Finding(name, number, "literal", message, hint)


def _catalogs(context: CheckContext) -> dict[str, str]:
    """The target of each catalog; the last one, if several share it."""
    names = context.bundle.targets
    catalogs = {value_of(context.bundle, name, VARIABLE): name for name in names}
    catalogs.pop("", None)
    return catalogs
