"""What each table is computed from, as the code of its domain says it. Nothing is imported or run.

| table | computed from |
|---|---|
| `silver.x` | `landing.x`, and the tables that `LOOKED_UP` names |
| `gold.x` | the tables that a call names, such as `Gold("gold.x", "silver.y", …)` |
| a table of a pipeline | the tables that its function, below `@dp.table(name=…)`, names |
"""

import ast
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path

Edge = tuple[str, str]
_Names = Mapping[str, str]


def edges(folder: Path, tables: Collection[str]) -> list[Edge]:
    """The tables of a domain, each after one that it is computed from.

    Args:
        folder: the code of the domain.
        tables: `<layer>.<table>` of each data contract.
    """
    found: dict[Edge, None] = {}
    for table in tables:
        layer, _, name = table.partition(".")
        if layer == "silver" and f"landing.{name}" in tables:
            found[f"landing.{name}", table] = None
    for file in sorted(folder.rglob("*.py")):
        tree = ast.parse(file.read_text(encoding="utf-8"))
        names = _constants(tree)
        for node in ast.walk(tree):
            for source, goal in _of(node, names):
                if {source, goal} <= {*tables} and source != goal:
                    found[source, goal] = None
    return [*found]


def _constants(tree: ast.AST) -> dict[str, str]:
    """The texts that names of the file stand for."""
    names: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            text = _text(node.value, names)
            if text:
                names[node.targets[0].id] = text
    return names


def _text(node: ast.AST | None, names: _Names) -> str:
    """A text that the code writes; in it, `conf.get("lakehouse.gold")` stands for `gold`."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.Name):
        return names.get(node.id, "")
    if isinstance(node, ast.FormattedValue):
        return _text(node.value, names)
    if isinstance(node, ast.Call) and node.args:
        return _text(node.args[0], names).removeprefix("lakehouse.")
    if isinstance(node, ast.JoinedStr):
        return "".join(_text(part, names) for part in node.values)
    return ""


def _of(node: ast.AST, names: _Names) -> Iterator[Edge]:
    """The sources and tables that one piece of code names."""
    if isinstance(node, ast.Call) and node.args:
        yield from ((source, _text(node.args[0], names)) for source in _texts(node, names))
    elif isinstance(node, ast.FunctionDef):
        for call in (call for call in node.decorator_list if isinstance(call, ast.Call)):
            goal = next((_text(k.value, names) for k in call.keywords if k.arg == "name"), "")
            yield from ((s, goal) for part in node.body for s in _texts(part, names))
    elif isinstance(node, (ast.Assign, ast.AnnAssign)) and isinstance(
        node.value, (ast.Dict, ast.List)
    ):
        target = node.targets[0] if isinstance(node, ast.Assign) else node.target
        if (
            isinstance(target, ast.Name)
            and target.id == "LOOKED_UP"
            and isinstance(node.value, ast.Dict)
        ):
            for key, value in zip(node.value.keys, node.value.values, strict=True):
                yield from (
                    (source, f"silver.{_text(key, names)}") for source in _texts(value, names)
                )


def _texts(node: ast.AST, names: _Names) -> set[str]:
    """Every text in a piece of code."""
    return {text for inner in ast.walk(node) if (text := _text(inner, names))}
