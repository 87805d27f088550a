"""A small `databricks` for tests, where the real one is not installed.

It answers to the arguments, and with the JSON, the messages and the exit codes of the version
below, as far as the delivery tool looks at them. `tests/fakes/test_fake_cli.py` runs the same
promises against both. It is no second bundle engine: it knows the kinds of resources in `kinds.py`.
"""

import shlex
from pathlib import Path

from harness import warm

VERSION = "1.13.0"

_TESTS = Path(__file__).resolve().parents[1]
_TOOL = _TESTS.parent / "{{cookiecutter.project_slug}}" / "tools" / "delivery" / "src"


def install(folder: Path) -> Path:
    """Write a program `databricks` into `folder`, to be put on the PATH."""
    program = folder / "databricks"
    sources = shlex.quote(f"{_TESTS}:{_TOOL}")
    environment = f"PYTHONPATH={sources} PYTHONDONTWRITEBYTECODE=1"
    folder.mkdir(parents=True, exist_ok=True)
    program.write_text(f"#!/bin/sh\n{environment} {warm.program('fake_cli')}\n", encoding="utf-8")
    program.chmod(0o755)
    return program
