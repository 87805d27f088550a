"""Two readers, one bundle: what the CLI reads must be what is judged here, or nothing starts."""

from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any, NamedTuple

from delivery.bundle import Bundle, Items, Mark, Section
from delivery.bundle.load import ROOT_FILE, folded, merged
from delivery.bundle.references import DEFINITIONS
from delivery.rules.secrets import is_secret

_OF_BUNDLE = {"cluster_id": "cluster_id", "compute_id": "cluster_id", "git": "git"}
_NOWHERE = Mark(ROOT_FILE, 0)
_LONGEST = 120
ANCHORS = "x-"  # keys that only hold anchors begin with this: the CLI reads none of them


class Difference(NamedTuple):
    """One value that two readers read differently; None where one reads nothing."""

    path: str
    ours: Any
    cli: Any

    def __str__(self) -> str:
        """What a person needs to find it; nothing that looks like a secret."""
        ours, cli = self._told(self.ours), self._told(self.cli)
        return (
            f"{self.path}: given {ours}, the CLI reads {cli}; write it so that both read the same"
        )

    def _told(self, value: Any) -> str:
        key = self.path.rpartition(".")[2]
        hidden = isinstance(value, str) and is_secret(key, value)
        return "nothing" if value is None else "(hidden)" if hidden else repr(value)[:_LONGEST]


def differences(bundle: Bundle, target: str, of_cli: Mapping[str, Any]) -> list[Difference]:
    """Where the CLI's merged tree of a target is not ours.

    References are not resolved in either, so equal trees resolve alike.
    """
    theirs = folded(of_cli)
    if theirs.section("sync").get("paths") == ["."]:  # its default, in some versions
        del theirs["sync"]["paths"]
    return list(_differences(folded(_as_the_cli(bundle, target)), theirs, ""))


def _as_the_cli(bundle: Bundle, target: str) -> Section:
    """Our tree of a target in the form in which the CLI prints its own."""
    tree = Section()
    for key, value in bundle.with_target(target).items():
        if not key.startswith(ANCHORS):
            tree.put(key, value, _NOWHERE)
    of_bundle = Section()
    for key, name in _OF_BUNDLE.items():
        if key in bundle.target(target):
            of_bundle.put(name, tree.pop(key), _NOWHERE)
    tree.put("include", [*bundle.files[1:]], _NOWHERE)
    tree.put("variables", _variables(bundle, target), _NOWHERE)
    for key in ("target", "environment"):
        of_bundle.put(key, target, _NOWHERE)
    tree.put("bundle", merged(tree.section("bundle"), of_bundle), _NOWHERE)
    return tree


def _variables(bundle: Bundle, target: str) -> dict[str, Any]:
    """Every variable's definition, with what the target gives in place of default or lookup."""
    known: dict[str, Any] = {**bundle.tree.section("variables")}
    for name, given in bundle.target(target).section("variables").items():
        whole = isinstance(given, Section) and {*given} in DEFINITIONS
        told = given if whole else {"default": given}
        before = known.get(name)
        definition = {**before} if isinstance(before, Section) else {}
        for key, other in (("default", "lookup"), ("lookup", "default")):
            if key in told:
                definition[key] = told[key]
                definition.pop(other, None)
        known[name] = definition
    return known


def _differences(ours: Any, cli: Any, path: str) -> Iterator[Difference]:
    if _is_empty(ours) and _is_empty(cli):
        return
    if isinstance(ours, Section) and isinstance(cli, Section):
        for key in dict.fromkeys([*ours, *cli]):
            yield from _differences(ours.get(key), cli.get(key), f"{path}.{key}".lstrip("."))
    elif isinstance(ours, Items) and isinstance(cli, Items):
        for index in range(max(len(ours), len(cli))):
            one, other = (one[index] if index < len(one) else None for one in (ours, cli))
            yield from _differences(one, other, f"{path}[{index}]")
    elif not _is_same(ours, cli):
        yield Difference(path, ours, cli)


def _is_empty(value: Any) -> bool:
    """Nothing, in whatever form: the CLI drops some of them."""
    return value is None or (isinstance(value, Section | Items) and not value)


def _is_same(ours: Any, cli: Any) -> bool:
    """The same scalar: the CLI makes texts of numbers, and numbers of texts, as a field wants."""
    if isinstance(ours, str) and isinstance(cli, bool):
        return ours.lower() == _text(cli)
    return _text(ours) == _text(cli)


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        digits = format(Decimal(repr(value)), "f")
        return digits.rstrip("0").rstrip(".") if "." in digits else digits
    return value if isinstance(value, str) else repr(value)
