"""Compares YAML with the fields and types of a model, as the CLI does when it loads a bundle.

The models are dataclasses: those of `databricks-bundles` for resources, and those of
`delivery.config.sections` for everything else. The CLI warns of each mismatch, and then leaves the
value out.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import MISSING, dataclass, fields, is_dataclass
from enum import Enum
from functools import cache, partial
from types import NoneType, UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

from delivery.config.closest import closest
from delivery.config.scalars import as_text
from delivery.config.yaml import Mark, YamlList, YamlMapping, kind_of

# A value that only the workspace knows, or a reference that is not resolved yet.
_UNKNOWN = re.compile(r"<[\w.\[\]-]+>|\$\{[^{}]+\}")
_LEFT_ALONE = re.compile(r"\$\{\w+\}")  # such as `${HOME}`, which refers to nothing in a bundle
_TRUE = ("true", "True", "TRUE", "y", "Y", "yes", "Yes", "YES", "on", "On", "ON")
_FALSE = ("false", "False", "FALSE", "n", "N", "no", "No", "NO", "off", "Off", "OFF")
_WHOLE = re.compile(r"[+-]?[0-9]+")
_NAMES = {str: "a string", int: "a whole number", float: "a number", bool: "true or false"}
ANCHOR_PREFIX = "x-"  # of keys that only hold anchors
_LISTED = 12  # more values than these are not listed


@dataclass(frozen=True)
class Mismatch:
    """A value that does not fit its model.

    Attributes:
        path: where it is below the value that was compared, such as `tasks[0].timeout_seconds`.
        mark: its place in the files.
        message: what was given, and what is expected.
        hint: what to do about it.
        missing: a required field is missing.
    """

    path: str
    mark: Mark
    message: str
    hint: str
    missing: bool = False


@dataclass(frozen=True)
class _Place:
    path: str
    mark: Mark

    def key(self, name: str, mark: Mark) -> "_Place":
        return _Place(f"{self.path}.{name}".lstrip("."), mark)

    def entry(self, number: int, mark: Mark) -> "_Place":
        return _Place(f"{self.path}[{number}]", mark)


_Check = Callable[[Any, _Place], Iterator[Mismatch]]


def mismatches(model: type, value: Any, mark: Mark) -> Iterator[Mismatch]:
    """Every mismatch between a value and a model."""
    if _fits(model)(value):
        return iter(())
    return _checker(model)(value, _Place("", mark))


@cache
def _fits(type_: Any) -> Callable[[Any], bool]:
    """Whether a value has no mismatch for sure: quicker to say than where one is."""
    type_ = without_variable(type_)
    origin, arguments = get_origin(type_), get_args(type_)
    if origin is list:
        entry = _fits(arguments[0])
        return lambda value: isinstance(value, YamlList) and all(map(entry, value))
    if origin is dict:
        entry = _fits(arguments[1])
        return lambda value: isinstance(value, YamlMapping) and all(map(entry, value.values()))
    if isinstance(type_, type) and is_dataclass(type_):
        return partial(_fields_fit, type_)
    if isinstance(type_, type) and issubclass(type_, Enum):
        choices = {str(member.value) for member in type_}
        return lambda value: isinstance(value, str) and value in choices
    return _SCALARS.get(type_, lambda _: False)


def _fields_fit(model: type, value: Any) -> bool:
    if not isinstance(value, YamlMapping):
        return False
    known = _fields(model)
    given = [value.get(name) for name in _ALSO_REQUIRED.get(model.__name__, ())]
    return (
        _required(model) <= value.keys()
        and all(given)
        and all(name in known and known[name].fits(one) for name, one in value.items())
    )


@cache
def _required(model: type) -> frozenset[str]:
    return frozenset(name for name, field in _fields(model).items() if field.required)


@cache
def _checker(type_: Any) -> _Check:
    """What judges values of a type."""
    type_ = without_variable(type_)
    origin, arguments = get_origin(type_), get_args(type_)
    if origin is list:
        return partial(_check_list, arguments[0])
    if origin is dict:
        return partial(_check_mapping, arguments[1])
    if isinstance(type_, type) and is_dataclass(type_):
        return partial(_check_fields, type_)
    if isinstance(type_, type) and issubclass(type_, Enum):
        return partial(_check_choice, tuple(str(member.value) for member in type_))
    return partial(_check_scalar, type_) if type_ in _SCALARS else lambda *_: iter(())


def _is_text(type_: Any) -> bool:
    type_ = without_variable(type_)
    return type_ is str or (isinstance(type_, type) and issubclass(type_, Enum))


def without_variable(type_: Any) -> Any:
    """The type of a field whose value may also be a reference or be left out."""
    if get_origin(type_) not in {Union, UnionType}:
        return type_
    left = [a for a in get_args(type_) if a is not NoneType and not _is_variable(a)]
    return left[0] if len(left) == 1 else Any


def _is_variable(type_: Any) -> bool:
    return getattr(get_origin(type_) or type_, "__name__", "") == "Variable"


def _check_list(entry: Any, value: Any, place: _Place) -> Iterator[Mismatch]:
    if isinstance(value, YamlList):
        for number, (one, mark) in enumerate(zip(value, value.marks, strict=True)):
            yield from _checker(entry)(one, place.entry(number, mark))
    elif not _is_open(value):
        yield _wrong(value, "a list", place, f"{_last(place)}: [{_shown(value)}]")


def _check_mapping(entry: Any, value: Any, place: _Place) -> Iterator[Mismatch]:
    if isinstance(value, YamlMapping):
        for name, one in value.items():
            yield from _checker(entry)(one, place.key(name, value.marks[name]))
    elif not _is_open(value):
        yield _wrong(value, "a mapping", place, f"{_last(place)}: {{name: value}}")


def _check_fields(model: type, value: Any, place: _Place) -> Iterator[Mismatch]:
    known = _fields(model)
    if value is None or (isinstance(value, str) and _LEFT_ALONE.fullmatch(value)):
        value = YamlMapping()  # the CLI takes both for a mapping without fields
    if not isinstance(value, YamlMapping):
        if not _is_open(value):
            some = ", ".join(list(known)[:_LISTED])
            yield _wrong(value, "a mapping", place, f"Its fields are {some}.")
        return
    meant = set()
    for name, one in value.items():
        below = place.key(name, value.marks[name])
        if name in known:
            # An optional text without characters is left out.
            if one != "" or known[name].required or not known[name].is_text:
                yield from known[name].check(one, below)
        elif not _is_accepted(name, model, place):
            near = closest(name, known)
            meant.add(near)
            yield _unknown(name, near, known, place, below)
    # The CLI takes an empty value of these for none.
    empty = {
        name for name in _ALSO_REQUIRED.get(model.__name__, ()) if value.get(name) in ("", None)
    }
    for name, field in known.items():
        if field.required and (name not in {*value, *meant} or name in empty - meant):
            message, hint = f"missing {name}", f"Add {name}."
            yield Mismatch(place.path, place.mark, message, hint, missing=True)


@dataclass(frozen=True)
class _Field:
    check: _Check
    fits: Callable[[Any], bool]
    required: bool
    is_text: bool


@cache
def _fields(model: type) -> dict[str, _Field]:
    hints = get_type_hints(model)
    return {
        field.name: _Field(
            _checker(hints[field.name]),
            _fits(hints[field.name]),
            field.name in _ALSO_REQUIRED.get(model.__name__, ())
            or (field.default is MISSING and field.default_factory is MISSING),
            _is_text(hints[field.name]),
        )
        for field in fields(model)
    }


# Fields that the CLI requires, and `databricks-bundles` does not: it fills lists with nothing.
_ALSO_REQUIRED = {
    "Dashboard": ("display_name", "warehouse_id"),
    "MonitorInferenceLog": ("granularities",),
    "MonitorMetric": ("input_columns",),
    "MonitorTimeSeries": ("granularities",),
    "SqlWarehouse": ("name",),
    "TableUpdateTriggerConfiguration": ("table_names",),
}
# Fields that the CLI takes, and `databricks-bundles` does not list: exported jobs have them.
_ALSO_ACCEPTED = {
    "Job": ("format", "edit_mode"),
    "Pipeline": ("storage",),
    "PipelineLibrary": ("whl",),
    "Task": ("dbt_cloud_task",),
    "Volume": ("volume_path",),
}
_OF_EVERY = ("id", "modified_status", "url")


def _is_accepted(name: str, model: type, place: _Place) -> bool:
    """Whether the CLI says nothing of a field that the model does not have."""
    is_resource = model.__module__.startswith("databricks.")
    if not place.path and (name.startswith(ANCHOR_PREFIX) or (is_resource and name in _OF_EVERY)):
        return True
    return name in _ALSO_ACCEPTED.get(model.__name__, ())


def _check_choice(values: tuple[str, ...], value: Any, place: _Place) -> Iterator[Mismatch]:
    if value is None:
        yield _nothing(place)
    elif isinstance(value, YamlMapping | YamlList):
        yield _wrong(value, "a string", place, f"One of {', '.join(values[:_LISTED])}.")
    elif as_text(value) not in values and not _is_open(value):
        near = closest(as_text(value), values)
        known = ", ".join(values[:_LISTED]) + (", …" if len(values) > _LISTED else "")
        message = f"given {as_text(value)}, expected {near or f'one of {known}'}"
        yield Mismatch(place.path, place.mark, message, f"One of {known}.")


def _check_scalar(type_: type, value: Any, place: _Place) -> Iterator[Mismatch]:
    if value is None:
        yield _nothing(place)
    elif not _is_open(value) and not _SCALARS[type_](value):
        hint = f"{_last(place)}: {_EXAMPLES[type_]}"
        yield _wrong(value, _NAMES[type_], place, hint)


def _is_string(value: Any) -> bool:
    return isinstance(value, str | bool | int | float)


def _is_whole(value: Any) -> bool:
    if isinstance(value, bool):
        return False
    if isinstance(value, str):
        return bool(_WHOLE.fullmatch(value))
    return isinstance(value, int) or (isinstance(value, float) and value.is_integer())


def _is_number(value: Any) -> bool:
    if isinstance(value, str):
        try:
            float(value)
        except ValueError:
            return False
        return True
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_truth(value: Any) -> bool:
    return isinstance(value, bool) or (isinstance(value, str) and value in (*_TRUE, *_FALSE))


_SCALARS: dict[Any, Callable[[Any], bool]] = {
    str: _is_string,
    int: _is_whole,
    float: _is_number,
    bool: _is_truth,
}
_EXAMPLES = {str: '"text"', int: "60", float: "0.5", bool: "true"}


def _is_open(value: Any) -> bool:
    """Whether a value is none, which is none of any kind, or is not known yet."""
    return value is None or (isinstance(value, str) and bool(_UNKNOWN.fullmatch(value)))


def _unknown(
    name: str, near: str, known: dict[str, _Field], place: _Place, below: _Place
) -> Mismatch:
    if near:
        message, hint = f"unknown field {name}, expected {near}", f"Rename it to {near}."
    else:
        message = f"unknown field {name}"
        hint = f"Remove it; the fields here are {', '.join(list(known)[:_LISTED])}"
        hint += ", …" if len(known) > _LISTED else "."
    return Mismatch(place.path, below.mark, message, hint)


def _wrong(value: Any, expected: str, place: _Place, hint: str) -> Mismatch:
    message = f"given {_shown(value)}, expected {expected}"
    return Mismatch(place.path, place.mark, message, hint)


def _nothing(place: _Place) -> Mismatch:
    return Mismatch(
        place.path,
        place.mark,
        "given nothing, expected a value",
        "Give it a value; without one, leave the field out.",
    )


def _shown(value: Any) -> str:
    return as_text(value) if _is_string(value) else kind_of(value)


def _last(place: _Place) -> str:
    return place.path.rpartition(".")[2]
