"""Reads YAML as the Databricks CLI does, with the line of every key.

The CLI reads YAML 1.2: `yes` and `12:30` are strings. A key may occur once in a mapping, and `<<`
takes an alias or a list. Values that PyYAML and the CLI could read differently, such as `017` (15
here, 17 there) or a tag, are errors.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar, NamedTuple, NoReturn

import yaml

from delivery.errors import Finding, InvalidFileError

RULE = "yaml"

# Plain scalars that are another number to the CLI, or a number only to one of the two.
AMBIGUOUS_SCALAR = re.compile(
    r"(?:[-+]?(?:0[0-9_]+|0b[01_]+|(?=[^_]*_)[0-9][0-9_]*(?:\.[0-9_]*)?(?:[eE][-+]?[0-9_]+)?"
    r"|0x[0-9a-fA-F]*_[0-9a-fA-F_]*|0o[0-7]*_[0-7_]*|\.(?:inf|Inf|INF))"
    r"|[-+]0[xo][0-9a-fA-F_]+|\.(?:nan|NaN|NAN))\Z"
)


class Mark(NamedTuple):
    """A line of a file of the project, counted from 1."""

    file: str
    line: int


class YamlMapping(dict[str, Any]):
    """A mapping with a mark for each key."""

    def __init__(self) -> None:
        super().__init__()
        self.marks: dict[str, Mark] = {}

    def put(self, key: str, value: Any, mark: Mark) -> None:
        """Set a key and its mark."""
        self[key] = value
        self.marks[key] = mark

    def copy(self) -> "YamlMapping":
        """Another mapping of the same values."""
        other = YamlMapping()
        other.update(self)
        other.marks = {**self.marks}
        return other

    def section(self, key: str) -> "YamlMapping":
        """The mapping below `key`; empty if there is none."""
        value = self.get(key)
        return value if isinstance(value, YamlMapping) else YamlMapping()

    def items_of(self, key: str) -> "YamlList":
        """The list below `key`; empty if there is none."""
        value = self.get(key)
        return value if isinstance(value, YamlList) else YamlList()


class YamlList(list[Any]):
    """A list with a mark for each entry."""

    def __init__(self) -> None:
        super().__init__()
        self.marks: list[Mark] = []

    def put(self, value: Any, mark: Mark) -> None:
        """Append an entry and its mark."""
        self.append(value)
        self.marks.append(mark)

    def copy(self) -> "YamlList":
        """Another list of the same values."""
        other = YamlList()
        other += self
        other.marks = [*self.marks]
        return other

    def sections(self) -> Iterator[tuple["YamlMapping", Mark]]:
        """The entries that are mappings, with their marks."""
        for value, mark in zip(self, self.marks, strict=True):
            if isinstance(value, YamlMapping):
                yield value, mark


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """PyYAML with the scalars of YAML 1.2."""

    yaml_implicit_resolvers: ClassVar[dict[str, list[tuple[str, re.Pattern[str]]]]] = {}


for _tag, _pattern, _first in (
    ("bool", r"true|True|TRUE|false|False|FALSE", [*"tTfF"]),
    ("null", r"~|null|Null|NULL|", [*"~nN", ""]),
    ("int", r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+", [*"-+0123456789"]),
    ("float", r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?", [*"-+0123456789."]),
    ("merge", "<<", ["<"]),
):
    _Loader.add_implicit_resolver(
        f"tag:yaml.org,2002:{_tag}", re.compile(f"(?:{_pattern})\\Z"), _first
    )


def read_yaml(root: Path, file: str) -> YamlMapping:
    """Read one YAML file, `file` relative to `root`; an empty file is an empty mapping.

    Raises:
        InvalidFileError: the file is missing or is not a YAML mapping; the error names the line.
    """
    try:
        text = (root / file).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        hint = "The file must exist, be readable and be UTF-8 text."
        raise InvalidFileError(Finding(file, 0, RULE, f"cannot be read: {error}", hint)) from None
    try:
        document = _Document(file, text).read()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line, message = mark.line + 1 if mark else 0, f"not valid YAML: {error.problem}"
        hint = "Check the indentation and the quotes of this line and the one above."
        raise InvalidFileError(Finding(file, line, RULE, message, hint)) from None
    except (yaml.YAMLError, RecursionError) as error:
        hint = "Remove unprintable characters, and aliases that contain themselves."
        raise InvalidFileError(Finding(file, 0, RULE, f"not valid YAML: {error}", hint)) from None
    if not isinstance(document, YamlMapping):
        message = f"given {kind_of(document)}, expected a mapping"
        raise InvalidFileError(Finding(file, 1, RULE, message, "Start with a key: resources:"))
    return document


def string_values(
    value: Any, key: str = "", mark: Mark | None = None
) -> Iterator[tuple[str, str, Mark]]:
    """Every string below a value: its key, the string and its mark."""
    found: list[tuple[str, str, Mark]] = []
    _collect(value, key, mark, found)
    return iter(found)


def _collect(value: Any, key: str, mark: Mark | None, found: list[tuple[str, str, Mark]]) -> None:
    if isinstance(value, str):
        if mark:
            found.append((key, value, mark))
    elif isinstance(value, YamlMapping):
        for name, entry in value.items():
            _collect(entry, name, value.marks[name], found)
    elif isinstance(value, list):
        marks = getattr(value, "marks", [mark] * len(value))
        for entry, entry_mark in zip(value, marks, strict=True):
            _collect(entry, key, entry_mark, found)


def kind_of(value: Any) -> str:
    """The kind of a value, as YAML names it."""
    names = {dict: "a mapping", list: "a list", str: "a string", bool: "a Boolean"}
    numbers = {int: "a number", float: "a number", type(None): "nothing"}
    return next(name for kind, name in {**names, **numbers}.items() if isinstance(value, kind))


_KEY_TAGS = ("tag:yaml.org,2002:str", "tag:yaml.org,2002:null")  # the key `null:` is the string
_TIME = re.compile(r"\d{4}-\d{1,2}-\d{1,2}(?:[Tt ].*)?")


def _is_string_key(key: yaml.Node) -> bool:
    """Whether a key is a string to PyYAML and to the CLI."""
    ambiguous = _is_plain(key) and (
        AMBIGUOUS_SCALAR.fullmatch(key.value) or _TIME.fullmatch(key.value)
    )
    return key.tag in _KEY_TAGS and not ambiguous


def _is_plain(node: yaml.Node) -> bool:
    """Whether a node is a scalar without quotes."""
    return isinstance(node, yaml.ScalarNode) and not node.style


class _Document:
    def __init__(self, file: str, text: str) -> None:
        self._file = file
        self._loader = _Loader(text)

    def read(self) -> Any:
        try:
            node = self._loader.get_single_node()
            return YamlMapping() if node is None else self._value(node)
        finally:
            self._loader.dispose()

    def _value(self, node: yaml.Node) -> Any:
        if isinstance(node, yaml.ScalarNode):
            return self._scalar(node)
        self._refuse_tag(node)
        if isinstance(node, yaml.SequenceNode):
            return self._items(node)
        return self._section(node)

    def _scalar(self, node: yaml.ScalarNode) -> Any:
        try:
            value = self._loader.construct_object(node)
        except (ValueError, KeyError, AttributeError):  # such as `08` or `!!int x`
            self._fail(node, f"given {node.value}, not a number", f"Quote it: '{node.value}'")
        self._refuse_tag(node)
        if not node.style and AMBIGUOUS_SCALAR.fullmatch(node.value):
            hint = f"Quote it: '{node.value}', or write the number without leading 0, _ or base."
            self._fail(node, f"given {node.value}, which the CLI reads as another value", hint)
        return value

    def _refuse_tag(self, node: yaml.Node) -> None:
        """Reject tags such as `!!bool`: the CLI ignores them, or reads them differently."""
        plain = _is_plain(node)
        if node.tag != self._loader.resolve(type(node), node.value, (plain, not plain)):
            self._fail(node, f"given the tag {node.tag}, expected no tag", "Remove it.")

    def _items(self, node: yaml.SequenceNode) -> YamlList:
        items = YamlList()
        for entry in node.value:
            items.put(self._value(entry), self._mark(entry))
        return items

    def _section(self, node: yaml.Node) -> YamlMapping:
        section, merged, merges = YamlMapping(), YamlMapping(), 0
        position = node.start_mark.index
        for key, value in node.value:
            alias = key.start_mark.index < position  # the node of an alias is that of its anchor
            position = max(position, key.end_mark.index, value.end_mark.index)
            if key.tag.endswith(":merge") and not alias:
                merged, merges = self._merged(key, value), merges + 1
                if merges > 1:
                    self._fail(key, "<< occurs twice", "Merge a list: <<: [*one, *other]")
                continue
            if alias or not _is_string_key(key):
                hint = "Quote it, as in '{{secrets/s/k}}'."
                self._fail(key, "given a key that is not a string", hint)
            if key.value in section:
                first = section.marks[key.value].line
                message = f"key {key.value} occurs twice, first in line {first}"
                self._fail(key, message, "Keep one of the two.")
            section.put(str(key.value), self._value(value), self._mark(key))
        for name, inherited in merged.items():
            if name not in section:
                section.put(name, inherited, merged.marks[name])
        return section

    def _merged(self, key: yaml.Node, value: yaml.Node) -> YamlMapping:
        """The keys that `<<` adds. Only an inline mapping starts after its `<<`."""
        inline = value.start_mark.index > key.start_mark.index
        sources = value.value if isinstance(value, yaml.SequenceNode) else [value]
        mappings = all(isinstance(source, yaml.MappingNode) for source in sources)
        if not mappings or inline is not isinstance(value, yaml.SequenceNode):
            hint = "Use an alias: <<: *defaults"
            self._fail(key, "<<: expected an alias or a list of mappings", hint)
        merged = YamlMapping()
        for source in sources:
            section: YamlMapping = self._value(source)
            for name, entry in section.items():
                merged.put(name, entry, section.marks[name])
        return merged

    def _mark(self, node: yaml.Node) -> Mark:
        return Mark(self._file, node.start_mark.line + 1)

    def _fail(self, node: yaml.Node, message: str, hint: str) -> NoReturn:
        raise InvalidFileError(Finding(self._file, node.start_mark.line + 1, RULE, message, hint))
