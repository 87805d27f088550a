"""Break the product on purpose, one fault at a time; each must turn its test red.

make mutants            the test that each fault names
make mutants FULL=1     the whole suite for each fault
.venv/bin/python tests/mutants "prod on dev's catalog"     one fault
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from baking import commit, export, git, run

from mutants.everything import FAULTS
from mutants.faults import Fault

WORKERS = 2  # tests are bound by the processor


def main(arguments: list[str]) -> int:
    """Apply the faults, and tell which survived."""
    full = "--full" in arguments
    names = [argument for argument in arguments if not argument.startswith("--")]
    chosen = [fault for fault in FAULTS if not names or fault.name in names]
    with ThreadPoolExecutor(WORKERS) as pool:
        outcomes = list(pool.map(lambda fault: _told(fault, full), chosen))
    survivors = [fault for fault, caught in zip(chosen, outcomes, strict=True) if not caught]
    print(f"{len(chosen) - len(survivors)} of {len(chosen)} faults caught")
    for fault in survivors:
        print(f"  survived: {fault.name} ({fault.file}); expected red: {fault.test}")
    return 1 if survivors or not chosen else 0


def mutated(fault: Fault, folder: Path) -> Path:
    """A copy of the repository with the fault in it.

    Raises:
        ValueError: the text that the fault changes is not there any more.
    """
    copy = export(folder / "copy")
    file = copy / fault.file
    text = file.read_text(encoding="utf-8")
    if fault.old not in text:
        raise ValueError(f"{fault.name}: {fault.file} has no {fault.old!r}; mend the fault")
    file.write_text(text.replace(fault.old, fault.new), encoding="utf-8")
    git(copy, "init", "--quiet", "--template=")
    git(copy, "add", "--all", "--force")  # a fault may make git ignore what is there
    commit(copy, "mutant")
    return copy


def is_caught(fault: Fault, full: bool = False) -> bool:
    """Whether the tests turn red; a test that cannot be found does not count."""
    with tempfile.TemporaryDirectory() as folder:
        copy = mutated(fault, Path(folder))
        tests = ["tests"] if full else [fault.test]
        options = ("-q", "-x", "-p", "no:cacheprovider", f"--basetemp={folder}/pytest")
        result = run(sys.executable, "-m", "pytest", *options, *tests, cwd=copy)
    return result.returncode == 1  # 2 to 5: interrupted, unknown test, nothing collected


def _told(fault: Fault, full: bool) -> bool:
    caught = is_caught(fault, full)
    print(f"{'caught' if caught else 'SURVIVED'}: {fault.name}", flush=True)
    return caught


def unnamed() -> Iterator[str]:
    """Names that stand more than once."""
    names = [fault.name for fault in FAULTS]
    yield from {name for name in names if names.count(name) > 1}


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
