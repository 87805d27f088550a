"""Each job, pipeline and alert of a released target names the runner; the target does not."""

from collections.abc import Iterator

from delivery.bundle import Bundle, Section
from delivery.errors import Finding
from delivery.run_as import KEY, Identities, forbidden_identity, running

RULE = "run_as"
_EXAMPLE = "run_as: {service_principal_name: ${var.runner}}"


def check_run_as(
    bundle: Bundle, name: str, tree: Section, identities: Identities
) -> Iterator[Finding]:
    """The rule for one released target; `tree` is its resolved configuration."""
    for section in (bundle.target(name), bundle.tree):
        if KEY in section:
            file, line = section.marks[KEY]
            message = (
                f"{name}: run_as: expected none here: with it the CLI refuses apps, model serving "
                "endpoints, quality monitors and dashboards with embedded credentials"
            )
            hint = f"Remove it. Each job, pipeline and alert names the runner:\n      {_EXAMPLE}"
            yield Finding(file, line, RULE, message, hint)
    expected = {"service_principal_name": identities.runner}
    for one in running(tree):
        if dict(one.given) != expected:
            hint = (
                f"Such as:\n      {_EXAMPLE}\n    or the variable for all: run_as: ${{var.run_as}}"
            )
            message = f"{name}: {one.key}: {_wrong(one.given, identities)}"
            yield Finding(one.mark.file, one.mark.line, RULE, message, hint)


def _wrong(given: Section, identities: Identities) -> str:
    """What is wrong with a `run_as` that is not the runner's."""
    name = str(given.get("service_principal_name") or given.get("user_name") or "")
    told = forbidden_identity(name, identities) or f"run_as: given {dict(given)}"
    return f"{told}, expected the runner {identities.runner} as service_principal_name"
