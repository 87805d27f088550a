"""`include`: files that no include matches. The CLI ignores them without a warning."""

from collections.abc import Iterator

from delivery.checks.registry import CheckContext, rule
from delivery.config.includes import included_name, refused_includes
from delivery.errors import Finding

RULE = "include"


@rule(RULE)
def check_include(context: CheckContext) -> Iterator[Finding]:
    """Files that are not included; the next deploy would delete their resources."""
    bundle = context.bundle
    for folder in ("resources", "targets"):
        for file in sorted((context.root / folder).rglob("*.y*ml")):
            name = file.relative_to(context.root).as_posix()
            if name not in bundle.files:
                hint = "Move it to targets/NAME.yml or resources/DOMAIN/NAME.yml."
                yield Finding(name, 0, RULE, "no include of databricks.yml matches this file", hint)
    patterns = bundle.tree.items_of("include")
    if patterns and included_name(context.root, list(map(str, patterns))) is None:
        message = "include: no pattern can match an additional file"
        hint = "Add the pattern release*.yml, for the resources that a rollback retains."
        yield Finding(*bundle.tree.marks["include"], RULE, message, hint)
    yield from refused_includes(bundle.root, bundle.files[1:], bundle.tree)
