"""Secrets in YAML, where the name of a value stands beside it."""

from pathlib import Path

import pytest
from delivery.checks.registry import CheckContext, check

from tool.conftest import Edit

SCHEMA = "resources/shop/schema.yml"


@pytest.mark.parametrize(
    "text",
    [
        "parameters: [{name: db_password, default: hunter2}]",
        "env: [{name: API_KEY, value: hunter2}]",
        "headers: [{key: Authorization, value: Bearer hunter2}]",
        "headers: {Authorization: Bearer hunter2}",
        "x: {my_token: {default: hunter2}}",
        "parameters: [--token=hunter2]",
    ],
)
def test_a_secret_in_a_list_of_names_is_found(project: Path, edit: Edit, text: str) -> None:
    edit(SCHEMA, "      name:", f"      {text}\n      name:")
    (finding,) = check(CheckContext(project), ["secret"])
    assert (finding.file, finding.line) == (SCHEMA, 5)
    assert "hunter2" not in finding.message


@pytest.mark.parametrize(
    "text",
    [
        "parameters: [{name: db_password, default: '{{secrets/a/b}}'}]",
        "parameters: [{name: password_file, default: x}]",
        "headers: [{key: Authorization, value: 'Bearer {{secrets/a/b}}'}]",
        "parameters: ['--token=${var.x}', '--day=monday']",
        "env: [{name: API_KEY, value_from: scope}]",
    ],
)
def test_what_only_names_a_secret_is_none(project: Path, edit: Edit, text: str) -> None:
    edit(SCHEMA, "      name:", f"      {text}\n      name:")
    assert check(CheckContext(project), ["secret"]) == []
