"""The tasks of a job as a graph: as text, as JSON and as a diagram of Mermaid.

Faults are part of it: tasks that `depends_on` names and that do not exist, and tasks that wait for
each other.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from delivery.checks.wiring import task_key_of
from delivery.config.scalars import as_text
from delivery.config.yaml import YamlMapping
from delivery.local.job import Need
from delivery.local.kinds import shown_kind

_WAITS = "waits for itself"


@dataclass(frozen=True)
class Node:
    """A task of a job.

    Attributes:
        kind: what it does, such as `wheel: flights.bronze`.
        needs: the tasks that it depends on.
        run_if: the condition on them, if it is not that all have succeeded.
        left_out: why a run on this machine leaves it out; empty if it does not.
        fault: why no run can have it; empty if it can.
    """

    name: str
    kind: str
    needs: tuple[Need, ...] = ()
    run_if: str = ""
    left_out: str = ""
    fault: str = ""

    def as_json(self) -> dict[str, Any]:
        """The task for machines."""
        needs = [{"task": need.task, "outcome": need.outcome or None} for need in self.needs]
        return {
            "task": self.name,
            "kind": self.kind,
            "depends_on": needs,
            "run_if": self.run_if or "ALL_SUCCESS",
            "left_out": self.left_out or None,
            "fault": self.fault or None,
        }


def nodes_of(job: YamlMapping, left_out: Mapping[str, str]) -> list[Node]:
    """The tasks of a job, each after those that it depends on.

    Args:
        left_out: the tasks that a run on this machine leaves out, with the reason.
    """
    tasks = [_node(task, left_out) for task, _ in job.items_of("tasks").sections()]
    known = {node.name for node in tasks}
    others = dict.fromkeys(n.task for node in tasks for n in node.needs if n.task not in known)
    nodes = {name: Node(name, "", fault="no task of this job") for name in others}
    nodes |= {node.name: node for node in tasks}
    graph = {node.name: [need.task for need in node.needs] for node in nodes.values()}
    before = {name: _before(name, graph) for name in nodes}
    return [
        replace(nodes[name], fault=_WAITS) if name in before[name] else nodes[name]
        for name in sorted(nodes, key=lambda name: len(before[name]))
    ]


def _before(name: str, graph: Mapping[str, Sequence[str]]) -> set[str]:
    """All tasks that must end before a task starts."""
    found, open_ = set[str](), [*graph[name]]
    while open_:
        one = open_.pop()
        if one not in found:
            found.add(one)
            open_ += graph[one]
    return found


def _node(task: YamlMapping, left_out: Mapping[str, str]) -> Node:
    needs = [
        Need(task_key_of(need), as_text(need["outcome"]) if "outcome" in need else "")
        for need, _ in task.items_of("depends_on").sections()
    ]
    run_if = str(task.get("run_if", "ALL_SUCCESS"))
    return Node(
        task_key_of(task),
        shown_kind(task),
        tuple(needs),
        "" if run_if == "ALL_SUCCESS" else run_if,
        left_out.get(task_key_of(task), ""),
    )


def as_text_tree(nodes: Sequence[Node]) -> str:
    """The tasks as a tree, each once: below the last of the tasks that it depends on."""
    place = {node.name: number for number, node in enumerate(nodes)}
    below: dict[str, list[Node]] = {}
    for node in nodes:
        # Tasks that wait for each other have no order; they stand below one that stands above.
        above = [n.task for n in node.needs if place.get(n.task, len(nodes)) < place[node.name]]
        parent = max(above, key=lambda name: place[name], default="")
        below.setdefault(parent, []).append(node)
    lines: list[str] = []
    for root in below.get("", []):
        lines.append(_line(root, ""))
        lines += _branches(root.name, below, "")
    return "\n".join(lines)


def _branches(name: str, below: dict[str, list[Node]], indent: str) -> Iterator[str]:
    children = below.get(name, [])
    for child in children:
        is_last = child is children[-1]
        yield f"{indent}{'└─ ' if is_last else '├─ '}{_line(child, name)}"
        yield from _branches(child.name, below, indent + ("   " if is_last else "│  "))


def _line(node: Node, parent: str) -> str:
    """A task in one line: what it does, and when it runs."""
    here = [need.outcome for need in node.needs if need.task == parent and need.outcome]
    others = [
        f"{need.task} is {need.outcome}" if need.outcome else need.task
        for need in node.needs
        if need.task != parent
    ]
    facts = [
        *(f"if {outcome}" for outcome in here),
        *([f"also after {', '.join(others)}"] if others else []),
        *([node.run_if] if node.run_if else []),
        *([f"not here: {node.left_out}"] if node.left_out else []),
    ]
    start = "  ".join(filter(None, [node.name, node.fault and f"✗ {node.fault}", node.kind]))
    return start + (f"  ({'; '.join(facts)})" if facts else "")


def as_mermaid(nodes: Sequence[Node]) -> str:
    """The tasks as a flowchart of Mermaid, which GitHub and GitLab draw."""
    ids = {node.name: f"t{number}" for number, node in enumerate(nodes, 1)}
    lines = ["flowchart TD"]
    for node in nodes:
        facts = (node.fault, node.kind, node.run_if)
        label = "<br/>".join([f"<b>{_escaped(node.name)}</b>", *map(_escaped, filter(None, facts))])
        lines.append(f'    {ids[node.name]}["{label}"]')
    for node in nodes:
        for need in node.needs:
            label = f"|{_escaped(need.outcome)}|" if need.outcome else ""
            lines.append(f"    {ids[need.task]} -->{label} {ids[node.name]}")
    for style, look, chosen in (
        ("elsewhere", "stroke-dasharray: 4", [node for node in nodes if node.left_out]),
        ("fault", "stroke: #cf222e", [node for node in nodes if node.fault]),
    ):
        if chosen:
            lines.append(f"    classDef {style} {look}")
            lines.append(f"    class {','.join(ids[node.name] for node in chosen)} {style}")
    return "\n".join(lines)


def _escaped(text: str) -> str:
    """A text within the label of a node."""
    entities = {"&": "#amp;", '"': "#quot;", "<": "#lt;", ">": "#gt;", "|": "#124;", "#": "#35;"}
    return "".join(entities.get(c, c if c.isprintable() else " ") for c in text)
