"""Pages made from the project: each domain's contracts, lineage and jobs."""

from collections.abc import Iterator
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any

import yaml
from delivery.cli.graph import GraphOutput, graph_command
from delivery.config.bundle import load_bundle
from delivery.config.references import resolve
from delivery.scaffold.names import PACKAGE, domains_of

from docs_site.lineage import edges
from docs_site.text import code, plain, table

Contracts = dict[str, dict[str, Any]]  # by `<layer>.<table>`
_LAYERS = ("landing", "silver", "gold")
_TYPES = "[types](../contracts.md#an-example)"


def pages(root: Path) -> dict[str, tuple[str, str]]:
    """The page of each domain, by its path."""
    return {
        f"docs/data/{domain}.md": (
            f"domain {domain}",
            "\n\n".join(filter(None, _domain(root, domain))) + "\n",
        )
        for domain in domains_of(root)
    }


def _domain(root: Path, domain: str) -> Iterator[str]:
    contracts = _contracts(root / PACKAGE / domain / "contracts")
    yield f"# The data of {domain}"
    yield (
        f"Made from `resources/{domain}`, from the [data contracts](../contracts.md) in "
        f"`{PACKAGE}/{domain}/contracts`, and from the code beside them."
    )
    if (root / f"docs/domains/{domain}.md").is_file():
        yield f"What it means and who uses it: [domain {domain}](../domains/{domain}.md)."
    if contracts:
        yield "## Lineage"
        yield "The tables that have a contract, and what each is computed from."
        yield _lineage(contracts, edges(root / PACKAGE / domain, contracts))
    yield from _jobs(root, domain)
    for name, contract in contracts.items():
        yield from _contract(name, contract)


def _contracts(folder: Path) -> Contracts:
    """The contracts of a domain, in the order of the layers."""
    files = sorted(folder.glob("*.yml"))
    files.sort(key=lambda file: _LAYERS.index(file.name.partition(".")[0]))
    return {file.stem: yaml.safe_load(file.read_text(encoding="utf-8")) for file in files}


# --- diagrams ---


def _lineage(contracts: Contracts, found: list[tuple[str, str]]) -> str:
    ids = {name: f"t{number}" for number, name in enumerate(contracts)}
    nodes = [f'    {ids[name]}["{name}"]' for name in contracts]
    arrows = [f"    {ids[source]} --> {ids[goal]}" for source, goal in found]
    return "\n".join(["```mermaid", "flowchart LR", *nodes, *arrows, "```"])


def _jobs(root: Path, domain: str) -> Iterator[str]:
    """The jobs that are declared in the domain's folder, with their tasks."""
    jobs = resolve(load_bundle(root), "dev").tree.section("resources").section("jobs")
    for name in jobs:
        if Path(jobs.marks[name].file).parent.name != domain:
            continue
        job = jobs.section(name)
        yield f"## Job {name}"
        yield plain(job.get("description"))
        schedule = job.section("schedule")
        if schedule:
            cron, zone = schedule.get("quartz_cron_expression"), schedule.get("timezone_id", "UTC")
            yield f"Its schedule, in prod: {code(cron)}, {code(zone)}."
        with redirect_stdout(StringIO()) as shown:
            graph_command(name, "dev", GraphOutput.MERMAID)
        yield f"```mermaid\n{shown.getvalue()}```"
        if " elsewhere" in shown.getvalue():
            yield "A run on this machine leaves out dashed tasks."


# --- contracts ---


def _contract(name: str, contract: dict[str, Any]) -> Iterator[str]:
    content = contract["schema"][0]
    columns = content.get("properties") or []
    yield f"## {name}"
    yield plain((contract.get("description") or {}).get("purpose") or content.get("description"))
    yield f"Version {plain(contract.get('version'))}."
    described = [_column(column) for column in columns]
    yield table(["column", _TYPES, "required", "key", "meaning"], described)
    rules = [
        [
            code(rule.get("name")),
            code(rule.get("implementation")),
            plain(rule.get("severity")),
            plain(rule.get("description")),
        ]
        for rule in content.get("quality") or []
    ]
    yield table(["rule", "condition", "otherwise", "why"], rules)
    options = [
        [code(o["property"]), code(o["value"])] for o in content.get("customProperties") or []
    ]
    yield table(["option", "value"], options)


def _column(column: dict[str, Any]) -> list[str]:
    kind = column.get("physicalType") or column.get("logicalType")
    position = column.get("primaryKeyPosition", 1) if column.get("primaryKey") else ""
    labels = [
        label for label in (column.get("classification"), *(column.get("tags") or [])) if label
    ]
    former = [synonym.get("synonym") for synonym in column.get("synonyms") or []]
    meaning = [
        plain(column.get("description")),
        *([f"Formerly {', '.join(map(code, former))}."] if former else []),
        *(["It partitions the table."] if column.get("partitioned") else []),
        *([f"Tags: {', '.join(map(code, labels))}."] if labels else []),
    ]
    required = "yes" if column.get("required") else ""
    return [
        code(column["name"]),
        code(kind),
        required,
        str(position),
        " ".join(filter(None, meaning)),
    ]
