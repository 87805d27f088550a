"""The files of a template, with the names of the project in them."""

from collections.abc import Iterator, Mapping, Sequence
from importlib.resources import files
from importlib.resources.abc import Traversable

from jinja2 import Environment, StrictUndefined

_SUFFIX = ".j2"
# Where the files of each folder of templates belong; paths of templates are short for Windows.
_PLACES = {
    "code": "src/lakehouse/DOMAIN",
    "resources": "resources/DOMAIN",
    "data": "data/DOMAIN/landing/DOMAIN",
    "unit": "tests/unit",
    "parity": "tests/parity",
    "pipeline": "tests/pipeline",
    "page": "docs/domains",
}


def rendered(layers: Sequence[str], names: Mapping[str, str]) -> dict[str, str]:
    """The files of some folders of templates, by their path in the project.

    Args:
        layers: the folders; a file of a later one replaces that of an earlier one.
        names: the values in the templates. A name in capitals in a path is replaced, too.
    """
    environment = Environment(undefined=StrictUndefined, keep_trailing_newline=True)  # noqa: S701
    found: dict[str, str] = {}
    for layer in layers:
        for path, text in _templates(files(__package__ or "") / "templates" / layer, ""):
            folder, _, rest = path.partition("/")
            place = f"{_PLACES[folder]}/{rest}"
            for name, value in names.items():
                place = place.replace(name.upper(), value)
            found[place] = environment.from_string(text).render(names, imports=_imports)
    return dict(sorted(found.items()))


def _templates(folder: Traversable, prefix: str) -> Iterator[tuple[str, str]]:
    for entry in folder.iterdir():
        path = f"{prefix}{entry.name}"
        if entry.is_dir():
            yield from _templates(entry, f"{path}/")
        elif path.endswith(_SUFFIX):
            yield path.removesuffix(_SUFFIX), entry.read_text(encoding="utf-8")


def _imports(lines: Sequence[str]) -> str:
    """Imports in the order of the linter, which depends on the names in them."""
    return "\n".join(sorted(lines))
