"""`cli`: warnings of the Databricks CLI about the bundle, offline; only with `--cli`."""

import re
import tempfile
from collections.abc import Iterator
from pathlib import Path

from delivery.checks.registry import CheckContext, rule
from delivery.config.includes import refused_includes
from delivery.errors import Finding
from delivery.workspace.bundle_cli import BundleCli, is_installed

_HOST = re.compile(r"^(\s+host:\s*).*$", re.MULTILINE)
_LOCATION = re.compile(r"(?:in |^)([\w./-]+\.ya?ml):(\d+)", re.MULTILINE)


@rule("cli", needs="bundle")
def check_with_cli(context: CheckContext) -> Iterator[Finding]:
    """The CLI's warnings and errors; none if it is not installed.

    The CLI reads a copy without real hosts, so that it cannot call a workspace.
    """
    bundle = context.bundle
    refused = refused_includes(bundle.root, bundle.files[1:], bundle.tree)
    if not context.with_cli or any(refused) or not is_installed():
        return
    with tempfile.TemporaryDirectory() as name:
        for file in bundle.files:
            copy = Path(name, file)
            copy.parent.mkdir(parents=True, exist_ok=True)
            text = (bundle.root / file).read_text(encoding="utf-8")
            copy.write_text(_HOST.sub(r"\1https://nowhere.invalid", text), encoding="utf-8")
        for target in bundle.targets:
            yield from map(_finding, BundleCli(Path(name), target).warnings())


def _finding(text: str) -> Finding:
    location = _LOCATION.search(text)
    message = " ".join(text.split()).removeprefix("Warning: ").removeprefix("Error: ")
    file, line = (location[1], int(location[2])) if location else ("databricks.yml", 0)
    return Finding(file, line, "cli", message, "Reproduce it: databricks bundle validate")
