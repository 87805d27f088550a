"""The sample's data contracts, read by the tool that most users of the standard have."""

from __future__ import annotations

import shutil

import pytest
from harness.baking import TEMPLATE, run

pytestmark = pytest.mark.slow
CLI = shutil.which("datacontract")
FOLDER = TEMPLATE / "src/lakehouse/flights/contracts"


# It is not installed with the tests: it would bring many packages that nothing else needs.
@pytest.mark.skipif(
    CLI is None,
    reason="DATACONTRACT CLI NOT TESTED: datacontract is not on the PATH; "
    "uv tool install datacontract-cli==1.2.8",
)
@pytest.mark.parametrize("name", ["landing.flights", "silver.flights", "gold.routes"])
def test_datacontract_cli_accepts_a_contract_of_each_layer(name: str) -> None:
    result = run(str(CLI), "lint", FOLDER / f"{name}.yml", cwd=FOLDER)
    assert result.returncode == 0, result.stdout + result.stderr
