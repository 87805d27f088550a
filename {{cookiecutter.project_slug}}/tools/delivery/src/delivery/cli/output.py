"""How results and progress are shown."""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape

from delivery.cli.options import Output
from delivery.config.policy import Policy
from delivery.errors import DeliveryError
from delivery.files import append, write_atomic
from delivery.forge.environment import (
    escape_workflow_commands,
    shorten_summary,
    write_step_summary,
)
from delivery.plan.approval import earlier_approvers
from delivery.plan.model import Plan
from delivery.render.text import from_markup, plan_as_text

stderr_console = Console(stderr=True, highlight=False, soft_wrap=True)


def write_result(output: Output, document: Any, text: str) -> None:
    """Show a result: one JSON document, or text; the summary of a pipeline's job gets it, too."""
    if output is Output.JSON:
        print(json.dumps(document, indent=2, default=str))
    else:
        plain = text.replace("\x1b", "")  # data must not contain escape sequences
        Console(highlight=False, soft_wrap=True).print(from_markup(escape_workflow_commands(plain)))
    try:
        write_step_summary(as_code_block(shorten_summary(text)) if text else "")
    except DeliveryError as error:  # the command itself succeeded
        progress(f"GITHUB_STEP_SUMMARY: {error}")


def as_code_block(text: str) -> str:
    """A text as a code block of Markdown; nothing in it is markup."""
    plain = from_markup(text).plain
    longest = max((len(run) for run in re.findall(r"`+", plain)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}text\n{plain}\n{fence}\n"


def write_outputs(file: Path | None, values: Mapping[str, object]) -> None:
    """Append values for the next job: outputs of GitHub, dotenv reports of GitLab."""
    if file:
        lines = "".join(f"{name}={value}\n" for name, value in values.items())
        append(file, lines)


def progress(text: str) -> None:
    """Report progress on stderr, apart from the result."""
    stderr_console.print(f"[dim]…[/] {escape(escape_workflow_commands(text))}", markup=True)


def show_plan(
    plan: Plan, policy: Policy, report: Path | None, outputs: Path | None, output: Output
) -> None:
    """Show a plan, and write it for a pull request and for the next job."""
    text = plan_as_text(plan)
    if report:
        write_atomic(report, f"### Plan for {plan.target}\n\n{as_code_block(text)}".encode())
    if outputs:
        values = {
            "RELEASE": plan.release,
            "PLAN_DIGEST": plan.digest,
            "APPROVAL": policy.approval_of(plan.target),
            "APPROVED_BEFORE": ",".join(earlier_approvers(policy, plan.target)),
        }
        write_outputs(outputs, values)
    write_result(output, {"digest": plan.digest, **plan.model_dump(mode="json")}, text)
