"""New parts of a domain: a job, a notebook, a statement for a SQL warehouse, a dashboard."""

import builtins
import keyword
import re
from enum import StrEnum
from pathlib import Path

from delivery.errors import DeliveryError
from delivery.scaffold.changes import Change, require_possible
from delivery.scaffold.domain import Edit, compute_of, edited
from delivery.scaffold.names import PACKAGE, domains_of, require_name
from delivery.scaffold.render import rendered

_IMPORT = "from lakehouse.engine import Report, Tables"
_TASK = '''

def {name}(tables: Tables) -> Report:
    """Write here what the job does."""
    rows = tables.count("{layer}.{table}")
    return Report((), f"{layer}.{table}: {{rows:,}} rows")
'''


class Part(StrEnum):
    """A part of a domain."""

    JOB = "job"
    NOTEBOOK = "notebook"
    SQL = "sql"
    DASHBOARD = "dashboard"


def new_part(root: Path, part: Part, name: str, domain: str) -> list[Change]:
    """The changes that create a part of a domain. Nothing is written.

    Raises:
        DeliveryError: the name, the domain or the project does not allow it.
    """
    require_name(name, part)
    if domain not in domains_of(root):
        known = ", ".join(domains_of(root)) or "none: the project has no domain"
        raise DeliveryError(f"domain: given {domain}, expected one of {known}")
    layer, table = _example(root, domain, ("silver",) if part is Part.JOB else ("gold", "silver"))
    names = {"domain": domain, "name": name, "layer": layer, "table": table}
    tasks = f"{PACKAGE}/{domain}/tasks.py"
    compute, shared = compute_of(root), list[Edit]()
    if part is Part.JOB:
        text = (root / tasks).read_text(encoding="utf-8") if (root / tasks).is_file() else ""
        _require_free(root, part, names, text)
        _require_imports(tasks, text)
        task = _TASK.format_map(names)
        layers = ["task", f"task_{compute}"]
        shared = [Edit(tasks, lambda old: f"{old.rstrip()}\n{task}")]
    else:
        _require_free(root, part, names, "")
        layers = {
            Part.NOTEBOOK: ["notebook", f"notebook_{compute}"],
            Part.SQL: ["sqltask"],
            Part.DASHBOARD: ["dashboard"],
        }[part]
    files = rendered(layers, names)
    created = [Change("create", path, text.encode()) for path, text in files.items()]
    changes = [*created, *edited(root, shared)]
    require_possible(root, changes)
    return changes


def _require_free(root: Path, part: Part, names: dict[str, str], tasks: str) -> None:
    """Make sure that the name means nothing else in the domain."""
    name, domain = names["name"], names["domain"]
    taken = []
    if keyword.iskeyword(name) or hasattr(builtins, name):
        taken.append("Python")
    if re.search(rf"^(?:def\s+{name}\b|{name}\s*[:=]|(?:from|import)\b.*\b{name}\b)", tasks, re.M):
        taken.append(f"{PACKAGE}/{domain}/tasks.py")
    for file in sorted((root / "resources").glob("*/*.yml")):
        text = file.read_text(encoding="utf-8", errors="replace")
        if re.search(rf"^ +{domain}_{name}:", text, re.MULTILINE):
            taken.append(file.relative_to(root).as_posix())
    tests = (root / "tests").rglob(f"test_{domain}_{name}.py")
    taken += [file.relative_to(root).as_posix() for file in sorted(tests)]
    if taken:
        raise DeliveryError(
            f"{part}: given {name}, which means something else in {' and '.join(taken)}, expected "
            f"another name: {name}_report"
        )


def _require_imports(tasks: str, text: str) -> None:
    """Make sure that the module of tasks imports what a new task needs."""
    if not re.search(r"^from lakehouse\.engine import .*\bReport, Tables\b", text, re.MULTILINE):
        raise DeliveryError(f"{tasks}: expected this import, which tasks need: {_IMPORT}")


def _example(root: Path, domain: str, layers: tuple[str, ...]) -> tuple[str, str]:
    """A layer and a table of the domain, whose rows the new part counts."""
    folder = root / PACKAGE / domain / "contracts"
    for layer in layers:
        for contract in sorted(folder.glob(f"{layer}.*.yml")):
            return layer, contract.name.removeprefix(f"{layer}.").removesuffix(".yml")
    raise DeliveryError(
        f"domain: given {domain}, which has no contract for {' or '.join(layers)}, expected one, "
        f"such as {PACKAGE}/{domain}/contracts/silver.{domain}.yml"
    )
