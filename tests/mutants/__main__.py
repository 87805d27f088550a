"""Break the product on purpose, one fault at a time; each must turn its test red.

make mutants            the test that each fault names
make mutants FULL=1     the whole suite for each fault
.venv/bin/python tests/mutants "prod on dev's catalog"     one fault
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from coverage import CoverageData

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from harness.baking import ROOT, commit, expect_success, export, git, run

from mutants.everything import FAULTS
from mutants.faults import DELIVERY, PROJECT, Fault

WORKERS = 2  # tests are bound by the processor
Reached = Mapping[str, Mapping[int, Sequence[str]]]  # the tests that run a line, by file and line


def main(arguments: list[str]) -> int:
    """Apply the faults, and tell which survived."""
    full = "--full" in arguments
    names = [argument for argument in arguments if not argument.startswith("--")]
    chosen = [fault for fault in FAULTS if not names or fault.name in names]
    reached = {} if full or all(fault.test != DELIVERY for fault in chosen) else tests_by_line()
    with ThreadPoolExecutor(WORKERS) as pool:
        outcomes = list(pool.map(lambda fault: _report(fault, full, reached), chosen))
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


def is_caught(fault: Fault, full: bool = False, first: Sequence[str] = ()) -> bool:
    """Whether the tests turn red; a test that cannot be found does not count.

    Args:
        full: run the whole suite.
        first: tests of those that the fault names that are the likeliest to see it.
    """
    with tempfile.TemporaryDirectory() as folder:
        copy = mutated(fault, Path(folder))
        everything = ["tests"] if full else [fault.test]
        return any(_is_red(copy, tests) for tests in (first, everything) if tests)


def _is_red(copy: Path, tests: Sequence[str]) -> bool:
    options = ("-q", "-x", "-p", "no:cacheprovider", f"--basetemp={copy.parent}/pytest")
    try:
        result = run(sys.executable, "-m", "pytest", *options, *tests, cwd=copy)
    except subprocess.TimeoutExpired:
        return True  # a test that never ends is red, too
    return result.returncode == 1  # 2 to 5: interrupted, unknown test, nothing collected


def tests_by_line() -> Reached:
    """Which tests of the delivery tool run which of its lines, measured once."""
    with tempfile.TemporaryDirectory() as folder:
        copy = export(Path(folder) / "copy")
        options = ("-q", "-p", "no:cacheprovider", f"--basetemp={folder}/pytest")
        measured = (
            "--dist=no",
            "--cov",
            f"{PROJECT}/tools/delivery/src",
            "--cov-context=test",
            "--cov-report=",
        )
        # A suite that is red without a fault would count every fault as caught.
        expect_success(sys.executable, "-m", "pytest", *options, *measured, DELIVERY, cwd=copy)
        data = CoverageData(str(copy / ".coverage"))
        data.read()
        return {
            Path(file).relative_to(copy).as_posix(): {
                line: [context.partition("|")[0] for context in contexts if context]
                for line, contexts in data.contexts_by_lineno(file).items()
            }
            for file in data.measured_files()
        }


def likeliest(fault: Fault, reached: Reached) -> list[str]:
    """The tests that run the changed lines; where none does, as in a table, the whole file."""
    by_line = reached.get(fault.file, {})
    text = (ROOT / fault.file).read_text(encoding="utf-8")
    first = text.partition(fault.old)[0].count("\n") + 1
    lines = range(first, first + fault.old.count("\n") + 1)
    tests = [test for line in lines for test in by_line.get(line, ())]
    return list(dict.fromkeys(tests or (test for line in by_line for test in by_line[line])))


def _report(fault: Fault, full: bool, reached: Reached) -> bool:
    caught = is_caught(fault, full, likeliest(fault, reached) if reached else ())
    print(f"{'caught' if caught else 'SURVIVED'}: {fault.name}", flush=True)
    return caught


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
