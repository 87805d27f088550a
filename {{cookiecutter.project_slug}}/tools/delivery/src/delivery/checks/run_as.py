"""`run_as`: each job, pipeline and alert of a released target names the runner."""

from collections.abc import Iterator

from delivery.checks.registry import CheckContext, rule
from delivery.config.identities import RUN_AS, declared_run_as, forbidden_identity, identity_of
from delivery.config.target import identities_of
from delivery.errors import Finding

RULE = "run_as"
_EXAMPLE = "run_as: {service_principal_name: ${var.runner}}"


@rule("run_as", scope="released", needs="root")
def check_run_as(context: CheckContext, target: str) -> Iterator[Finding]:
    """Resources whose `run_as` is not the runner, and a `run_as` of the target or the bundle."""
    bundle, identities = context.bundle, identities_of(context.bundle, target)
    for section in (bundle.target(target), bundle.tree):
        if RUN_AS in section:
            file, line = section.marks[RUN_AS]
            message = (
                f"{target}: run_as: expected none, because with it the CLI refuses apps, model "
                "serving endpoints, quality monitors and dashboards with embedded credentials"
            )
            hint = f"Remove it. Each job, pipeline and alert names the runner:\n      {_EXAMPLE}"
            yield Finding(file, line, RULE, message, hint)
    expected = {"service_principal_name": identities.runner}
    for resource in declared_run_as(context.targets[target].tree):
        if resource.from_file and not resource.own:
            message = (
                f"{resource.key}: from a file, so it would run as the deployer: the CLI takes no "
                "run_as beside file_path"
            )
            hint = (
                f"A deploy refuses it. Write its query and schedule in YAML, with\n      {_EXAMPLE}"
            )
            yield Finding(*resource.mark, RULE, message, hint, "warning")
        elif dict(resource.own) != expected:
            problem = forbidden_identity(identity_of(resource.own), identities)
            message = (
                f"{target}: {resource.key}: {problem or f'run_as: given {dict(resource.own)}'}, "
                f"expected the runner {identities.runner} as service_principal_name"
            )
            hint = f"Write:\n      {_EXAMPLE}\n    or the shared variable: run_as: ${{var.run_as}}"
            yield Finding(*resource.mark, RULE, message, hint)
