"""The tour is the demonstration of the whole promise, so it is taken in each run."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest
from harness.baking import ROOT, run
from harness.tour import RECORDING, recorded, same

pytestmark = pytest.mark.slow


@pytest.mark.longest
def test_the_tour_is_taken_from_the_first_to_the_last_stop() -> None:
    result = run(sys.executable, ROOT / "tests/harness/tour.py", cwd=ROOT)
    assert result.returncode == 0, result.stdout[-3000:] + result.stderr[-3000:]
    assert re.findall(r"^(\d)\. ", result.stdout, re.MULTILINE) == list("1234567")
    for promise in (
        "is running again, and verified",
        "volumes.extra_files is retained",
        "timeout_seconds: 900",
        "staging: no drift",
    ):
        assert promise in result.stdout
    heard = recorded(result.stdout)
    known = RECORDING.read_text(encoding="utf-8").splitlines()
    assert same(heard, known), "record it again: python tests/harness/tour.py --write"
    (page,) = re.findall(r"The status page is (\S+)", result.stdout)
    text = Path(page).read_text(encoding="utf-8")
    assert text.startswith("<!doctype html>")
    assert "prod" in text
