"""What becomes of a token: it is masked where a forge would print it, and printed nowhere else."""

from __future__ import annotations

import re

import pytest
from harness.delivering import Sandbox
from harness.fake_forge import Forge

pytestmark = pytest.mark.slow


@pytest.fixture
def identity(delivered: Sandbox) -> dict[str, str]:
    """What every job has that becomes the planner with an id token."""
    planner = delivered.workspace.identities.all["planner"].principal
    return {"DATABRICKS_CLIENT_ID": planner, "DATABRICKS_TOKEN": ""}


def issued(sandbox: Sandbox) -> set[str]:
    """The tokens that the workspace knows."""
    return {*sandbox.workspace.identities._tokens}


def test_github_masks_the_token_that_an_id_token_was_exchanged_for(
    delivered: Sandbox, identity: dict[str, str]
) -> None:
    with Forge() as forge:
        runner = {
            "GITHUB_ACTIONS": "true",
            "DATABRICKS_AUTH_TYPE": "github-oidc",
            "DATABRICKS_TOKEN_AUDIENCE": "of-this-test",
            "ACTIONS_ID_TOKEN_REQUEST_URL": f"{forge.url}/token?environment=staging-plan",
            "ACTIONS_ID_TOKEN_REQUEST_TOKEN": "of-the-runner",
        }
        before = issued(delivered)
        result = delivered.done("status", "staging", "--output", "json", **runner, **identity)
    (masked,) = re.findall(r"^::add-mask::(\S+)$", result.err, re.MULTILINE)
    assert masked in issued(delivered) - before
    assert masked not in result.out
    assert result.json


def test_a_token_is_printed_on_no_other_forge(delivered: Sandbox, identity: dict[str, str]) -> None:
    runner = {
        "GITLAB_CI": "true",
        "DATABRICKS_AUTH_TYPE": "env-oidc",
        "DATABRICKS_OIDC_TOKEN": "of-the-job",
    }
    result = delivered.done("status", "staging", **runner, **identity)
    assert not [token for token in issued(delivered) if token in result.out + result.err]
    assert "add-mask" not in result.out + result.err
