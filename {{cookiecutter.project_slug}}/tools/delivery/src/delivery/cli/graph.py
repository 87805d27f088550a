"""`delivery graph`."""

import json
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from delivery.checks.wiring import check_order
from delivery.cli.output import progress
from delivery.config.bundle import load_bundle
from delivery.config.references import resolve
from delivery.config.root import find_root
from delivery.errors import DeliveryError, FailedError
from delivery.local.graph import Node, as_mermaid, as_text_tree, nodes_of
from delivery.local.picture import as_svg
from delivery.local.run import plan_run


class GraphOutput(StrEnum):
    """How a graph is shown."""

    TABLE = "table"
    JSON = "json"
    MERMAID = "mermaid"


def graph_command(
    job: Annotated[str, typer.Argument(help="The key of the job, such as flights_daily.")],
    target: Annotated[str, typer.Option(help="The target whose tasks to show.")] = "dev",
    output: Annotated[
        GraphOutput, typer.Option(help="A tree, a diagram, or one JSON document.")
    ] = GraphOutput.TABLE,
    picture: Annotated[
        Path | None, typer.Option(help="Write a picture instead, such as flights_daily.svg.")
    ] = None,
) -> None:
    """Show the tasks of a job, their order and conditions, and what a local run leaves out.

    Example: `delivery graph flights_daily --picture flights_daily.svg`

    Exit codes: 0 done, 1 shown with faults, such as a misspelt task, 4 there is no such job.
    """
    if picture and picture.suffix != ".svg":
        raise DeliveryError(f"--picture: given {picture.name}, expected a name such as {job}.svg")
    root = find_root(Path.cwd())
    jobs = resolve(load_bundle(root), target).tree.section("resources")
    if job not in jobs.section("jobs"):
        known = ", ".join(jobs.section("jobs"))
        raise DeliveryError(f"job: given {job!r}, expected one of {known}")
    tasks = jobs.section("jobs").section(job)
    nodes = nodes_of(tasks, _left_out(root, job, target))
    if picture:
        picture.write_text(as_svg(nodes), encoding="utf-8")
        progress(f"wrote {picture}")
    else:
        _show(nodes, job, target, output)
    faults = [*check_order([*tasks.items_of("tasks").sections()])]
    if faults:
        raise FailedError("\n".join(map(str, faults)))


def _show(nodes: list[Node], job: str, target: str, output: GraphOutput) -> None:
    if output is GraphOutput.JSON:
        tasks = [node.as_json() for node in nodes]
        print(json.dumps({"job": job, "target": target, "tasks": tasks}, indent=2))
    elif output is GraphOutput.MERMAID:
        print(as_mermaid(nodes))
    else:
        console = Console(highlight=False, soft_wrap=True)
        console.print(f"[bold]{job}[/] as target {target}\n")
        console.print(as_text_tree(nodes), markup=False)


def _left_out(root: Path, job: str, target: str) -> dict[str, str]:
    """The tasks that `delivery run --skip-unsupported` leaves out, with the reason."""
    try:
        plan = plan_run(root, job, target, skip_unsupported=True)
    except DeliveryError:  # `delivery run` and `delivery check` report it
        return {}
    return {task.name: task.skipped for task in plan.tasks if task.skipped}
