"""YAML with the place of every key, read by the rules of the Databricks CLI.

The CLI reads YAML 1.2: `yes` and `12:30` are texts. A key twice in one mapping is an error, and
what is merged with `<<` must be an alias or a list. What the two could read differently, such as
`017` (15 here, 17 there) or a tag, is an error, too: then nobody depends on who is right.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar, NamedTuple, NoReturn

import yaml

from delivery.errors import Finding, InvalidFileError

RULE = "yaml"

# Plain scalars that the CLI's YAML takes for a number of another value, or for a number at all.
AMBIGUOUS = re.compile(
    r"(?:[-+]?(?:0[0-9_]+|0b[01_]+|(?=[^_]*_)[0-9][0-9_]*(?:\.[0-9_]*)?(?:[eE][-+]?[0-9_]+)?"
    r"|0x[0-9a-fA-F]*_[0-9a-fA-F_]*|0o[0-7]*_[0-7_]*|\.(?:inf|Inf|INF))"
    r"|[-+]0[xo][0-9a-fA-F_]+|\.(?:nan|NaN|NAN))\Z"
)


class Mark(NamedTuple):
    """A place in a file of the project; lines count from 1."""

    file: str
    line: int


class Section(dict[str, Any]):
    """A mapping that knows where each of its keys stands."""

    def __init__(self) -> None:
        super().__init__()
        self.marks: dict[str, Mark] = {}

    def put(self, key: str, value: Any, mark: Mark) -> None:
        """Set a key, and remember its place."""
        self[key] = value
        self.marks[key] = mark

    def section(self, key: str) -> "Section":
        """The mapping below `key`; an empty one when there is none."""
        value = self.get(key)
        return value if isinstance(value, Section) else Section()

    def items_of(self, key: str) -> "Items":
        """The list below `key`; an empty one when there is none."""
        value = self.get(key)
        return value if isinstance(value, Items) else Items()


class Items(list[Any]):
    """A list that knows where each of its entries stands."""

    def __init__(self) -> None:
        super().__init__()
        self.marks: list[Mark] = []

    def put(self, value: Any, mark: Mark) -> None:
        """Append an entry, and remember its place."""
        self.append(value)
        self.marks.append(mark)

    def sections(self) -> Iterator[tuple["Section", Mark]]:
        """The entries that are mappings, each with its place."""
        for value, mark in zip(self, self.marks, strict=True):
            if isinstance(value, Section):
                yield value, mark


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """PyYAML with the scalars of YAML 1.2."""

    yaml_implicit_resolvers: ClassVar[dict[str, list[tuple[str, re.Pattern[str]]]]] = {}


for _tag, _pattern, _first in (
    ("bool", r"true|True|TRUE|false|False|FALSE", "tTfF"),
    ("null", r"~|null|Null|NULL|", "~nN\0"),
    ("int", r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+", "-+0123456789"),
    ("float", r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?", "-+0123456789."),
):
    _Loader.add_implicit_resolver(
        f"tag:yaml.org,2002:{_tag}", re.compile(f"(?:{_pattern})\\Z"), list(_first)
    )
_Loader.add_implicit_resolver("tag:yaml.org,2002:null", re.compile(r"\Z"), [""])
_Loader.add_implicit_resolver("tag:yaml.org,2002:merge", re.compile(r"<<\Z"), ["<"])


def read_yaml(root: Path, file: str) -> Section:
    """Read one YAML file, `file` relative to `root`; an empty file is an empty mapping.

    Raises:
        InvalidFileError: the file is missing or is no YAML mapping; the error names the line.
    """
    text = _text(root, file)
    try:
        document = _Document(file, text).read()
    except yaml.MarkedYAMLError as error:
        raise _invalid(file, error) from None
    except (yaml.YAMLError, RecursionError) as error:
        mend = "Remove what is no text, and what holds itself by an alias."
        raise InvalidFileError(Finding(file, 0, RULE, f"not valid YAML: {error}", mend)) from None
    if not isinstance(document, Section):
        message = f"given {kind_of(document)}, expected keys and values"
        raise InvalidFileError(Finding(file, 1, RULE, message, "Begin with a key: resources:"))
    return document


def kind_of(value: Any) -> str:
    """What a value is, in the words of YAML."""
    names = {dict: "a mapping", list: "a list", str: "a text", bool: "a truth value"}
    numbers = {int: "a number", float: "a number", type(None): "nothing"}
    return next(name for kind, name in {**names, **numbers}.items() if isinstance(value, kind))


_KEY_TAGS = ("tag:yaml.org,2002:str", "tag:yaml.org,2002:null")  # `null:` is the text
_TIME = re.compile(r"\d{4}-\d{1,2}-\d{1,2}(?:[Tt ].*)?")


def _is_text(key: yaml.Node) -> bool:
    """Whether both readers take a key for a text."""
    odd = _is_plain(key) and (AMBIGUOUS.fullmatch(key.value) or _TIME.fullmatch(key.value))
    return key.tag in _KEY_TAGS and not odd


class _Document:
    def __init__(self, file: str, text: str) -> None:
        self._file = file
        self._loader = _Loader(text)

    def read(self) -> Any:
        try:
            node = self._loader.get_single_node()
            return Section() if node is None else self._value(node)
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
            self._fail(node, f"given {node.value}, which is no number", f"Quote it: '{node.value}'")
        self._refuse_tag(node)
        if not node.style and AMBIGUOUS.fullmatch(node.value):
            mend = f"Quote it: '{node.value}', or write the number without zeros, _ or base."
            self._fail(node, f"given {node.value}, which the CLI reads as another value", mend)
        return value

    def _refuse_tag(self, node: yaml.Node) -> None:
        """A tag such as `!!bool` means one thing here, and another or nothing to the CLI."""
        plain = _is_plain(node)
        usual = self._loader.resolve(type(node), node.value, (plain, not plain))
        if node.tag != usual:
            self._fail(node, f"given the tag {node.tag}, expected a value without", "Remove it.")

    def _items(self, node: yaml.SequenceNode) -> Items:
        items = Items()
        for entry in node.value:
            items.put(self._value(entry), self._mark(entry))
        return items

    def _section(self, node: yaml.Node) -> Section:
        section, merged, merges = Section(), Section(), 0
        read = node.start_mark.index
        for key, value in node.value:
            alias = key.start_mark.index < read  # it stands somewhere before
            read = max(read, key.end_mark.index, value.end_mark.index)
            if key.tag.endswith(":merge") and not alias:
                merged, merges = self._merged(key, value), merges + 1
                if merges > 1:
                    self._fail(key, "<< stands twice", "Merge a list: <<: [*one, *other]")
                continue
            if alias or not _is_text(key):
                self._fail(key, "given a key that is no text", "Quote it, as in '{{secrets/s/k}}'.")
            if key.value in section:
                first = section.marks[key.value].line
                message = f"key {key.value} stands twice, first in line {first}"
                self._fail(key, message, "Keep one of the two.")
            section.put(str(key.value), self._value(value), self._mark(key))
        for name, inherited in merged.items():
            if name not in section:
                section.put(name, inherited, merged.marks[name])
        return section

    def _merged(self, key: yaml.Node, value: yaml.Node) -> Section:
        """What `<<` brings; an alias stands before its use, so an inline mapping stands after."""
        inline = value.start_mark.index > key.start_mark.index
        sources = value.value if isinstance(value, yaml.SequenceNode) else [value]
        mappings = all(isinstance(source, yaml.MappingNode) for source in sources)
        if not mappings or inline is not isinstance(value, yaml.SequenceNode):
            mend = "Name what is merged: <<: *defaults"
            self._fail(key, "<< takes an alias or a list of mappings", mend)
        merged = Section()
        for source in sources:
            section: Section = self._value(source)
            for name, entry in section.items():
                merged.put(name, entry, section.marks[name])
        return merged

    def _mark(self, node: yaml.Node) -> Mark:
        return Mark(self._file, node.start_mark.line + 1)

    def _fail(self, node: yaml.Node, message: str, mend: str) -> NoReturn:
        raise InvalidFileError(Finding(self._file, node.start_mark.line + 1, RULE, message, mend))


def _is_plain(node: yaml.Node) -> bool:
    """Whether it is a scalar without quotes."""
    return isinstance(node, yaml.ScalarNode) and not node.style


def _text(root: Path, file: str) -> str:
    try:
        return (root / file).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        mend = "It must be there, be readable, and be a text in UTF-8."
        raise InvalidFileError(Finding(file, 0, RULE, f"cannot be read: {error}", mend)) from None


def _invalid(file: str, error: yaml.MarkedYAMLError) -> InvalidFileError:
    place = error.problem_mark or error.context_mark
    line = place.line + 1 if place else 0
    message = f"not valid YAML: {error.problem}"
    mend = "Look at the indentation and the quotes of this line and the one above."
    return InvalidFileError(Finding(file, line, RULE, message, mend))
