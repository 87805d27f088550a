"""`cli`: warnings of the Databricks CLI about the bundle, offline.

`delivery check` asks it beside the other rules, if it is installed and the bundle is small enough
for a quick answer; with `--cli` it asks about each target, however long that takes.
"""

import re
import tempfile
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

from delivery.checks.registry import CheckContext, rule
from delivery.config.includes import refused_includes
from delivery.errors import DeliveryError, Finding
from delivery.workspace.bundle_cli import STOP_BEFORE_CALLS, BundleCli, is_installed

RULE = "cli"
_HOST = re.compile(r"^(\s+host:\s*).*$", re.MULTILINE)
_LOCATION = re.compile(r"(?:in |^)([\w./-]+\.ya?ml):(\d+)", re.MULTILINE)
_QUICK_SECONDS = 2
_QUICK_BYTES = 100_000  # of YAML, which the CLI reads in about a quarter of a second


@rule(RULE, needs="bundle")
def check_with_cli(context: CheckContext) -> Iterator[Finding]:
    """The CLI's warnings and errors; none if it is not installed."""
    if context.cli:
        yield from map(_finding, context.opinion.result())


def ask_cli(context: CheckContext) -> Future[list[str]]:
    """Start to ask the CLI, while other rules run."""
    pool = ThreadPoolExecutor(1)
    context.bundle  # noqa: B018 - both threads need it
    try:
        return pool.submit(_quick_answer if context.cli == "quick" else _answer, context)
    finally:
        pool.shutdown(wait=False)


def _quick_answer(context: CheckContext) -> list[str]:
    """What the CLI says of the files, read for one target; nothing if that takes long."""
    bundle = context.bundle
    size = 0 if bundle.broken else sum((bundle.root / f).stat().st_size for f in bundle.files)
    if size > _QUICK_BYTES:
        return []
    try:
        return _answer(context, *bundle.targets[:1], quick=True)
    except DeliveryError:
        return []


def _answer(context: CheckContext, *targets: str, quick: bool = False) -> list[str]:
    """The CLI reads a copy without real hosts, so that it cannot call a workspace."""
    bundle = context.bundle
    refused = refused_includes(bundle.root, bundle.files[1:], bundle.tree)
    if bundle.broken or any(refused) or not is_installed():
        return []
    with tempfile.TemporaryDirectory() as name:
        for file in bundle.files:
            copy = Path(name, file)
            copy.parent.mkdir(parents=True, exist_ok=True)
            text = (bundle.root / file).read_text(encoding="utf-8")
            copy.write_text(_HOST.sub(r"\1https://nowhere.invalid", text), encoding="utf-8")
        if quick:
            clis = [BundleCli(Path(name), one, settings=STOP_BEFORE_CALLS) for one in targets]
            return [text for cli in clis for text in cli.warnings(_QUICK_SECONDS)]
        return [text for one in bundle.targets for text in BundleCli(Path(name), one).warnings()]


def _finding(text: str) -> Finding:
    location = _LOCATION.search(text)
    message = " ".join(text.split()).removeprefix("Warning: ").removeprefix("Error: ")
    file, line = (location[1], int(location[2])) if location else ("databricks.yml", 0)
    return Finding(file, line, RULE, message, "Reproduce it: databricks bundle validate")


def without_repeated(findings: Iterable[Finding]) -> set[Finding]:
    """The findings, without those of the CLI at a place where another rule has one, too.

    The CLI may name the line of a value, which can be the one after its key.
    """
    every = set(findings)
    told = {(f.file, f.line + after) for f in every if f.rule != RULE for after in (0, 1)}
    return {f for f in every if f.rule != RULE or (f.file, f.line) not in told}
