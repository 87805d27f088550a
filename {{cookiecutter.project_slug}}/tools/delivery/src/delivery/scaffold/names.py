"""The names of domains, and what a project already has under a name."""

import keyword
import re
from collections.abc import Iterator
from pathlib import Path

from delivery.errors import DeliveryError

PACKAGE = "src/lakehouse"
LAYERS = ("bronze", "silver", "gold", "ops", "landing")
# The folders of a domain; data is removed last.
FOLDERS = (PACKAGE, "resources", "data")
PAGES = "docs/domains"
LONGEST = 31  # characters
_NAME = re.compile(r"[a-z](?:_?[a-z0-9])+")
# Names of folders beside or in a domain: tests are chosen, and owners found, by such names.
_FOLDER_NAMES = {
    *("bundle", "contracts", "data", "delivery", "docs", "domain", "domains", "engine", "guide"),
    *("infra", "lakehouse", "package", "parity", "pipeline", "resources", "sql", "src", "targets"),
    *("tests", "tools", "unit"),
}
_YAML_WORDS = {"false", "no", "null", "off", "on", "true", "yes"}
# The ends of the names of tables and resources that a domain has.
_ENDS = (*LAYERS, "daily", "quarantine", "superseded")


def domains_of(root: Path) -> list[str]:
    """The domains that the project has, in any of its folders."""
    packages = (root / PACKAGE).glob("*/")
    code = {p.name for p in packages if (p / "tasks.py").is_file() or (p / "contracts").is_dir()}
    resources = {folder.name for folder in (root / "resources").glob("*/")}
    return sorted(name for name in code | resources if not name.startswith((".", "_")))


def require_new_name(root: Path, name: str) -> None:
    """Make sure that a new domain can have this name.

    Raises:
        DeliveryError: it is malformed, reserved or taken; the message has every problem.
    """
    require_name(name)
    problems = [*_reserved(name), *_neighbours(name, domains_of(root)), *_taken(root, name)]
    if problems:
        raise DeliveryError("\n".join(problems))


def require_name(name: str, what: str = "domain") -> None:
    """Make sure that a name has the form of all names.

    Raises:
        DeliveryError: it has another one.
    """
    if not _NAME.fullmatch(name) or len(name) > LONGEST:
        raise DeliveryError(
            f"{what}: given {name[:80]!r}, expected 2 to {LONGEST} lower-case letters, digits and "
            "single underscores, that begin with a letter and do not end with an underscore, such "
            "as web_orders"
        )


def domain_of_test(name: str, domains: list[str]) -> str:
    """The domain that a test file belongs to, such as orders for `test_orders_rules.py`."""
    stem = name.removeprefix("test_").removesuffix(".py")
    fits = (domain for domain in domains if stem == domain or stem.startswith(f"{domain}_"))
    return max(fits, key=len, default="") if name.startswith("test_") else ""


def test_files(root: Path, domain: str, domains: list[str]) -> Iterator[Path]:
    """The test files of a domain."""
    for file in sorted((root / "tests").rglob("test_*.py")):
        if domain_of_test(file.name, domains) == domain:
            yield file


def _reserved(name: str) -> Iterator[str]:
    if keyword.iskeyword(name):
        yield f"domain: given {name}, a keyword of Python, expected another name: {name}_data"
    elif name in _YAML_WORDS:
        yield f"domain: given {name}, which YAML reads as a value, expected a name such as orders"
    elif name in LAYERS or name in _FOLDER_NAMES:
        yield f"domain: given {name}, which is reserved, expected another name: {name}_data"
    for end in _ENDS:
        if name.endswith(f"_{end}"):
            yield (
                f"domain: given {name}, expected another end than _{end}, which schemas, tables "
                f"and jobs have: {name.removesuffix(f'_{end}')}"
            )


def _neighbours(name: str, domains: list[str]) -> Iterator[str]:
    """Domains whose name is the start of the other's: their resources and tests would mix."""
    for other in domains:
        short, long = sorted((name, other), key=len)
        if long.startswith(f"{short}_"):
            yield (
                f"domain: given {name}, expected a name that does not begin as the domain {other}, "
                f"because {short}_… names the resources and tests of {short}: "
                f"{long.removeprefix(f'{short}_')}_{short}"
            )


def _taken(root: Path, name: str) -> Iterator[str]:
    """What the project already has under the name."""
    folders = [f"{folder}/{name}" for folder in FOLDERS]
    places = [*folders, f"{PACKAGE}/{name}.py", f"{PAGES}/{name}.md"]
    places = [place for place in places if (root / place).exists() or (root / place).is_symlink()]
    known = [*domains_of(root), name]
    places += [p.relative_to(root).as_posix() for p in test_files(root, name, known)]
    for file in sorted((root / "resources").glob("*/*.yml")):
        text = file.read_text(encoding="utf-8", errors="replace")
        if re.search(rf"^ +{name}_(?:{'|'.join(_ENDS)}|pipeline):", text, re.MULTILINE):
            places.append(file.relative_to(root).as_posix())
    if places:
        yield (
            f"domain: given {name}, which exists: {', '.join(dict.fromkeys(places))}\n"
            f"    Choose another name, such as {name}_data, or remove the domain: "
            f"delivery remove domain {name}"
        )
