"""Change the delivery tool a line at a time, and tell which changes no test of tests/tool sees.

make mutate MODULE=plan/guard.py
make mutate MODULE=plan/guard.py TESTS=tests/tool/test_guard.py
"""

import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PROJECT = "{{cookiecutter.project_slug}}"
SOURCE = ROOT / PROJECT / "tools/delivery/src/delivery"

# mutmut takes a module's name from its path, so the tool lies in src/ and nowhere else.
SETTINGS = """
[tool.mutmut]
source_paths = ["src"]
only_mutate = ["src/delivery/{module}"]
also_copy = ["tests", "scripts", "cookiecutter.json", "{project}"]
pytest_add_cli_args_test_selection = {tests}
pytest_add_cli_args = ["-p", "no:cacheprovider", {deselected}]
"""
# They look at the tool's own files where they lie in the template.
ELSEWHERE = ("tests/tool/test_tool_itself.py",)


def main(module: str, tests: list[str]) -> int:
    """Run mutmut on one module; the exit code, 1 if a change survived."""
    if not (SOURCE / module).is_file():  # also when no module is named
        print(f"mutate: given {module}, expected a file of {PROJECT}/tools/delivery/src/delivery")
        return 2
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder)
        lay_out(copy, module, tests)
        output = _mutmut(copy, "run")
        counts = re.findall(r"\d+/\d+  .*", output)
        if not counts:
            print(output[-3000:])
            return 2
        left = re.findall(r"^ *(\S+): (?!killed)([\w ]+)$", _mutmut(copy, "results"), re.MULTILINE)
        for name, what in left:
            print(f"{what}: {_mutmut(copy, 'show', name)}")
        print(f"{counts[-1].split()[0].partition('/')[2]} changes, {len(left)} not caught")
    return 1 if left else 0


def _mutmut(folder: Path, *arguments: str) -> str:
    """What mutmut says."""
    command = [sys.executable, "-m", "mutmut", *arguments]
    done = subprocess.run(
        command,
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    return done.stdout


def lay_out(copy: Path, module: str, tests: list[str]) -> None:
    """What mutmut works on, with the settings for one module."""
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(SOURCE, copy / "src/delivery", ignore=ignored)
    for name in ("tests", "scripts"):
        shutil.copytree(ROOT / name, copy / name, ignore=ignored)
    shutil.copy2(ROOT / "cookiecutter.json", copy)
    shutil.copytree(ROOT / PROJECT, copy / PROJECT, ignore=shutil.ignore_patterns("src", "data"))
    conftest = copy / "tests/tool/conftest.py"  # programs that tests start run the tool as it is
    text = conftest.read_text(encoding="utf-8")
    given = 'TOOL = TEMPLATE / "tools/delivery/src"'
    if given not in text:
        raise ValueError(f"{conftest.name} has no {given}")
    conftest.write_text(text.replace(given, f"TOOL = Path({str(SOURCE.parent)!r})"), "utf-8")
    deselected = ", ".join(f'"--ignore={name}"' for name in ELSEWHERE)
    settings = SETTINGS.format(project=PROJECT, module=module, tests=tests, deselected=deselected)
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    (copy / "pyproject.toml").write_text(text + settings, encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2:]))
