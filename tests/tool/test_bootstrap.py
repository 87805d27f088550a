"""What a target needs: where tokens go, what is written into files, and what a call says."""

import json
import shlex
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from delivery.bootstrap import service
from delivery.bootstrap.call import Call
from delivery.bootstrap.needs import Needs, Principal
from delivery.bootstrap.service import Service, accounts_host, connect_both
from delivery.bootstrap.targets import connect_needs
from delivery.bootstrap.thing import Look, Step
from delivery.cli.bootstrap import _agreed
from delivery.errors import DeliveryError, FailedError, NotVisibleError
from delivery.forge.base import Subject
from delivery.forge.github import GitHub
from delivery.forge.gitlab import GitLab
from delivery.scaffold.changes import Change, apply
from delivery.scaffold.ids import changed_ids

from tool.conftest import Edit

WORKSPACE = "https://dbc-1.cloud.databricks.com"
ACCOUNTS = "https://accounts.cloud.databricks.com"


# --- where tokens go ---


@pytest.mark.parametrize(
    ("host", "accounts"),
    [
        (WORKSPACE, ACCOUNTS),
        ("https://adb-1.2.azuredatabricks.net", "https://accounts.azuredatabricks.net"),
        ("https://1.2.gcp.databricks.com", "https://accounts.gcp.databricks.com"),
        ("http://127.0.0.1:8080", "http://127.0.0.1:8080"),
    ],
)
def test_each_cloud_has_its_accounts(host: str, accounts: str) -> None:
    assert accounts_host(host) == accounts


@pytest.mark.parametrize(
    "host",
    [
        "https://lake.example.com",
        "https://cloud.databricks.com.example.com",
        "https://evilcloud.databricks.com",
        "http://dbc-1.cloud.databricks.com",
        "https://dbc-1.cloud.databricks.com:8443",
        "https://me@dbc-1.cloud.databricks.com",
        "https://127.0.0.1.example.com",
        "http://127.0.0.1@example.com",
        "",
    ],
)
def test_an_admins_token_is_sent_to_no_other_host(
    host: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "connect", pytest.fail)
    monkeypatch.setattr(service, "sign_in", pytest.fail)
    with pytest.raises(DeliveryError, match="expected the address of a workspace"):
        connect_both(host, "1")


def _signed_in(monkeypatch: pytest.MonkeyPatch, kind: str, account: str = "") -> list[Any]:
    """Sign in without a network; returns who asked for what."""
    asked: list[Any] = []

    def sign_in(host: str, account_id: str | None = None) -> tuple[Any, str]:
        asked.append((host, account_id))
        if kind == "none" and account_id:
            raise DeliveryError("no credentials")
        return SimpleNamespace(auth_type=kind, account_id=account), f"token of {host}"

    monkeypatch.setattr(service, "connect", lambda host: SimpleNamespace(host=host, token="w"))
    monkeypatch.setattr(service, "sign_in", sign_in)
    monkeypatch.delenv("DATABRICKS_TOKEN", raising=False)
    return asked


def test_each_service_has_its_own_token(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = _signed_in(monkeypatch, "databricks-cli", "of the profile")
    workspace, account = connect_both(WORKSPACE, "")
    assert (workspace.host, workspace.token) == (WORKSPACE, "w")
    assert (account.host, account.token) == (ACCOUNTS, f"token of {ACCOUNTS}")
    assert account.account == "of the profile"
    assert connect_both(WORKSPACE, "given")[1].account == "given"
    assert {host for host, _ in asked} == {WORKSPACE, ACCOUNTS}
    assert "token" not in repr(account)


@pytest.mark.parametrize(
    ("kind", "account", "problem"),
    [
        ("databricks-cli", "", "the account's id is not known: --account-id"),
        ("none", "1", f"no credentials for {ACCOUNTS}: databricks auth login --host {ACCOUNTS}"),
        ("pat", "1", f"{ACCOUNTS} accepts no personal access token: databricks auth login"),
    ],
)
def test_an_account_that_cannot_be_asked_is_told_at_each_call(
    kind: str, account: str, problem: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    _signed_in(monkeypatch, kind, account)
    found = connect_both(WORKSPACE, "")[1]
    assert found.token == ""
    with pytest.raises(NotVisibleError, match=problem.replace(".", r"\.")):
        found.get("/api/2.0/accounts")


# --- calls ---


def test_a_command_is_the_call() -> None:
    account = Service(ACCOUNTS, "secret", "an id")
    call = Call(account, "POST", "/a/<deployer id>", {"name": "it's <etag>, <etag>"}, "an admin")
    assert call.waits_for == ["deployer id", "etag"]
    words = shlex.split(call.command)
    assert words[:2] == [f"DATABRICKS_HOST={ACCOUNTS}", "DATABRICKS_ACCOUNT_ID=an id"]
    assert words[2:-1] == ["databricks", "api", "post", "/a/<deployer id>", "--json"]
    assert json.loads(words[-1]) == call.body
    assert "secret" not in f"{call.command} {call} {call.as_json()}"


class Recorded(Service):
    """A service without a network."""

    def send(self, call: Call) -> dict[str, Any]:
        if self.host == "refuses":
            raise NotVisibleError("no")
        if self.host == "fails":
            raise FailedError("cut off")
        return {"id": 7}


@pytest.mark.parametrize(
    ("host", "path", "state"),
    [("works", "/a", "made"), ("works", "/<runner id>", "missing"), ("refuses", "/a", "hidden")],
)
def test_a_step_makes_what_is_missing(host: str, path: str, state: str) -> None:
    learned: list[Any] = []
    call = Call(Recorded(host), "PUT", path, {}, "an admin of the account")
    step = Step("it", lambda: Look("none", False, call), learn=learned.append)
    thing = step.make()
    assert (thing.state, thing.call) == (state, call)
    assert learned == ([{"id": 7}] if state == "made" else [])
    messages = {"made": "made; before: none", "missing": "none"}
    assert thing.message == messages.get(state, "needs an admin of the account: no")


def test_a_step_makes_nothing_that_is_there_and_nothing_blindly() -> None:
    call = Call(Recorded("fails"), "PUT", "/a", {}, "an admin")

    def hidden() -> Look:
        raise NotVisibleError("not yours")

    assert Step("it", lambda: Look("there", True)).make().state == "present"
    assert Step("it", lambda: Look("none", False)).make().state == "missing"
    thing = Step("it", hidden, lambda: call).make()
    assert (thing.state, thing.message, thing.call) == ("hidden", "not yours", call)
    with pytest.raises(FailedError):
        Step("it", lambda: Look("none", False, call)).make()


def test_ids_that_are_not_known_are_named_in_calls() -> None:
    one = Principal("runner", "demo-staging-runner")
    assert (one.application_id, one.number) == ("<runner>", "<runner id>")
    given = Principal("runner", "demo-staging-runner", "of-the-file")
    assert (given.application_id, given.number) == ("of-the-file", "<runner id>")
    needs = Needs(Service("w"), Service("a"), "1", "demo", [one, given])
    one.learn({"id": "7", "applicationId": "u"})
    given.learn({"id": "8", "applicationId": "of-the-file"})
    assert (one.application_id, one.number) == ("u", "7")
    assert needs.unwritten_ids == {"runner": "u"}


# --- targets and forges ---


def test_a_target_that_needs_nothing_is_told(project: Path) -> None:
    with pytest.raises(DeliveryError, match="expected one of staging, prod, preview, dev"):
        connect_needs(project, "test")


def test_a_host_that_is_not_set_is_told(project: Path, edit: Edit) -> None:
    edit("targets/staging.yml", "https://staging.example.com", "https://dbc-00000000-0000.x.y")
    with pytest.raises(DeliveryError, match=r"workspace.host: not set in targets/staging.yml"):
        connect_needs(project, "staging")


def test_issuers_are_those_of_the_forge() -> None:
    public = "https://token.actions.githubusercontent.com"
    assert GitHub("https://api.github.com", "a/b", "").oidc_issuer == public
    own = GitHub("https://git.example.com/api/v3", "a/b", "")
    assert own.oidc_issuer == "https://git.example.com/_services/token"
    lab = GitLab("https://gitlab.example.com/api/v4", "a/b", "")
    assert lab.oidc_issuer == "https://gitlab.example.com"
    assert lab.oidc_subjects("preview", "main") == [Subject("a/b", "project_path")]


# --- ids in files ---


@pytest.mark.parametrize("answer", [True, False])
def test_somebody_is_shown_the_change_and_asked(
    answer: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked: list[str] = []
    monkeypatch.setattr("sys.stdin", SimpleNamespace(isatty=lambda: True))

    def confirm(text: str, err: bool) -> bool:
        asked.append(text)
        return answer

    monkeypatch.setattr("typer.confirm", confirm)
    change = Change("edit", "targets/staging.yml", b"a: 2\nb: 1\n", b"a: 1\nb: 1\n")
    assert _agreed(change, yes=False) is answer
    assert asked == ["Write this into targets/staging.yml?"]
    shown = capsys.readouterr()
    assert (shown.out, shown.err.splitlines()[-2:]) == ("", ["-a: 1", "+a: 2"])
    assert _agreed(change, yes=True)
    assert len(asked) == 1


IDS = {"deployer": "11111111-0000-4000-8000-000000000001"}


def test_an_id_is_written_and_every_other_byte_stays(project: Path) -> None:
    file = project / "targets/staging.yml"
    text = file.read_text("utf-8").replace("      deployer: deployer-of-staging\n", "{}")
    for old, new in (
        ("      deployer: 0000-0001  # set me\n", "      deployer: ID\n"),
        ("      deployer: 0000-0001  # of Ana  # set me\n", "      deployer: ID  # of Ana\n"),
        ('      deployer:   "0000-0001"\r\n', '      deployer:   "ID"\r\n'),
        ("      deployer: 0000-0001  # set me\r\n", "      deployer: ID\r\n"),
        ("      deployer: '' # later\n", "      deployer: 'ID' # later\n"),
    ):
        file.write_bytes(text.replace("{}", old).encode())
        changes = changed_ids(project, "staging", IDS)
        assert [change.path for change in changes] == ["targets/staging.yml"]
        apply(project, changes)
        expected = text.replace("{}", new.replace("ID", IDS["deployer"]))
        assert file.read_bytes().decode() == expected


@pytest.mark.parametrize(
    "form", ["      deployer: {default: unset}\n", "      deployer:\n        default: unset\n", ""]
)
def test_another_form_is_told_with_the_line_to_write(project: Path, form: str) -> None:
    file = project / "targets/staging.yml"
    text = file.read_text("utf-8").replace("      deployer: deployer-of-staging\n", form)
    file.write_text(text, "utf-8")
    with pytest.raises(DeliveryError, match=f"Write it: deployer: {IDS['deployer']}"):
        changed_ids(project, "staging", IDS)
    assert file.read_text("utf-8") == text
