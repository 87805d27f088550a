"""`delivery check`."""

import gc
from pathlib import Path
from typing import Annotated

import typer

from delivery.checks.registry import Asked, CheckContext, all_rules, check
from delivery.config.root import find_root
from delivery.render.findings import Format, exit_code, formatted


def check_command(
    only: Annotated[
        list[str] | None,
        typer.Option(help="Run only this rule. Can be repeated."),
    ] = None,
    list_rules: Annotated[bool, typer.Option("--list-rules", help="List the rules.")] = False,
    committing: Annotated[
        bool, typer.Option("--committing", help="Also refuse commits to protected branches.")
    ] = False,
    with_cli: Annotated[
        bool,
        typer.Option("--cli", help="Ask the Databricks CLI about each target, not only quickly."),
    ] = False,
    output: Annotated[
        Format, typer.Option(help="Text, JSON, or annotations for GitHub or GitLab.")
    ] = Format.TABLE,
) -> None:
    """Check the project against its rules, offline.

    Example: `delivery check --only wiring`

    Exit codes: 0 no errors, 1 errors, 4 bad input.
    """
    if list_rules:
        print("\n".join(f"{name:<13}{one.summary}" for name, one in all_rules().items()))
        return
    gc.disable()  # it takes a third of the time of a large project; the process ends soon
    cli: Asked = "full" if with_cli else "" if only else "quick"
    findings = check(CheckContext(find_root(Path.cwd()), committing, cli), only or ())
    print(formatted(findings, output))
    raise typer.Exit(exit_code(findings))
