"""The documents of the data contracts, `src/<package>/<domain>/contracts/<layer>.<table>.yml`."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

from delivery.config.contract_schema import Field, Problem
from delivery.config.yaml import YamlList, YamlMapping
from delivery.errors import Finding

RULE = "contract"
ENGINE = "lakehouse"  # the `engine` of the rules that jobs apply to each row
# What the entries of these lists of a table are, and the key of their names.
_TITLES = {
    "properties": ("column", "name"),
    "quality": ("rule", "name"),
    "customProperties": ("property", "property"),
}


@dataclass(frozen=True)
class Document:
    """One contract.

    Attributes:
        file: its path in the project.
        domain: the domain's folder.
        layer, table: what the file's name says, `<layer>.<table>.yml`.
        tree: the parsed document.
        text: the content of the file.
    """

    file: str
    domain: str
    layer: str
    table: str
    tree: YamlMapping
    text: str

    @cached_property
    def schema(self) -> YamlMapping:
        """The table; empty if there is none, or more than one."""
        tables = [entry for entry, _ in self.tree.items_of("schema").sections()]
        return tables[0] if len(tables) == 1 else YamlMapping()

    @property
    def columns(self) -> list[tuple[int, YamlMapping]]:
        """The columns, with their numbers."""
        return entries_of(self.schema, "properties")

    @property
    def names(self) -> list[str]:
        """The names of the columns, in lower case, as tables do not distinguish case."""
        return [str(column["name"]).lower() for _, column in self.columns if "name" in column]

    @property
    def rules(self) -> list[tuple[int, YamlMapping]]:
        """The rules that jobs apply, with their numbers."""
        return [(i, r) for i, r in entries_of(self.schema, "quality") if r.get("engine") == ENGINE]

    def finding(self, problem: Problem, severity: Literal["error", "warning"] = "error") -> Finding:
        """The finding at the line of the field."""
        field = self._title(problem.path)
        message = f"{field}: {problem.message}" if field else problem.message
        return Finding(self.file, self.line(problem.path), RULE, message, problem.hint, severity)

    def line(self, path: Field) -> int:
        """The line of a field, or of the closest one above that exists."""
        node: Any = self.tree
        line = 1
        for part in path:
            is_there = part in node if isinstance(node, YamlMapping) else _has(node, part)
            if not is_there:
                break
            line, node = node.marks[part].line, node[part]
        return line

    def _title(self, path: Field) -> str:
        """A field as people say it: `column distance: logicalType`."""
        if len(path) > 3 and path[:2] == ("schema", 0) and path[2] in _TITLES:
            title, key = _TITLES[str(path[2])]
            entry = dict(entries_of(self.schema, str(path[2]))).get(int(path[3]), YamlMapping())
            title = f"{title} {entry.get(key, int(path[3]) + 1)}"
            return f"{title}: {_dotted(path[4:])}" if path[4:] else title
        return _dotted(path)


def entries_of(section: YamlMapping, key: str) -> list[tuple[int, YamlMapping]]:
    """The mappings in a list, with their numbers."""
    entries = enumerate(section.items_of(key))
    return [(number, entry) for number, entry in entries if isinstance(entry, YamlMapping)]


def _dotted(path: Field) -> str:
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path)
    return text.removeprefix(".")


def _has(node: Any, part: str | int) -> bool:
    return isinstance(node, YamlList) and isinstance(part, int) and part < len(node)
