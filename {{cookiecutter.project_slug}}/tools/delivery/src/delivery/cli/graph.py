"""`delivery graph`."""

import json
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from delivery.config.bundle import load_bundle
from delivery.config.references import resolve
from delivery.config.root import find_root
from delivery.errors import DeliveryError
from delivery.local.graph import as_mermaid, as_text_tree, nodes_of


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
) -> None:
    """Show the tasks of a job, their order and conditions, and what a local run leaves out.

    Example: `delivery graph flights_daily`
    """
    jobs = resolve(load_bundle(find_root(Path.cwd())), target).tree.section("resources")
    if job not in jobs.section("jobs"):
        known = ", ".join(jobs.section("jobs"))
        raise DeliveryError(f"job: given {job!r}, expected one of {known}")
    nodes = nodes_of(jobs.section("jobs").section(job))
    if output is GraphOutput.JSON:
        tasks = [node.as_json() for node in nodes]
        print(json.dumps({"job": job, "target": target, "tasks": tasks}, indent=2))
    elif output is GraphOutput.MERMAID:
        print(as_mermaid(nodes))
    else:
        console = Console(highlight=False, soft_wrap=True)
        console.print(f"[bold]{job}[/] as target {target}\n")
        console.print(as_text_tree(nodes), markup=False)
