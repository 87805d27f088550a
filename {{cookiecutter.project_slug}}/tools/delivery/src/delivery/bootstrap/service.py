"""The two services that a target needs: the API of its workspace, and that of its account."""

import json
import shlex
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any
from urllib.parse import urlsplit

from delivery.bootstrap.call import Call
from delivery.environment import env_text
from delivery.errors import DeliveryError, FailedError, NotVisibleError
from delivery.workspace.client import Workspace, connect, sdk_client, sign_in

# The host of the accounts of each cloud, by how the addresses of its workspaces end.
_CLOUDS = {
    ".cloud.databricks.com": "https://accounts.cloud.databricks.com",
    ".azuredatabricks.net": "https://accounts.azuredatabricks.net",
    ".gcp.databricks.com": "https://accounts.gcp.databricks.com",
}
_LOCAL = ("127.0.0.1", "localhost")
_RETRY_SECONDS = 30  # of a call that may be repeated
ACCOUNT_ID = "<account id>"


@dataclass(frozen=True)
class Service:
    """An API, used with one identity.

    Attributes:
        account: the account's id; empty for a workspace.
        problem: why no call can be made; empty if they can.
    """

    host: str
    token: str = field(default="", repr=False)
    account: str = ""
    problem: str = ""

    @property
    def variables(self) -> str:
        """The variables of a shell that direct the Databricks CLI to this service."""
        account = f" DATABRICKS_ACCOUNT_ID={shlex.quote(self.account)}" if self.account else ""
        return f"DATABRICKS_HOST={shlex.quote(self.host)}{account}"

    def get(self, path: str, /, **query: str) -> dict[str, Any] | None:
        """The answer to a GET; None if the object does not exist.

        Raises:
            NotVisibleError: this identity may not read it.
            FailedError: the call fails.
        """
        from delivery.workspace.sdk import NotFound

        try:
            return self._do("GET", path, query=query)
        except NotFound:
            return None

    def pages(self, path: str, key: str) -> Iterator[dict[str, Any]]:
        """The entries of all pages of a list; none if the object does not exist.

        Raises:
            NotVisibleError: this identity may not read it.
            FailedError: a call fails.
        """
        query: dict[str, str] = {}
        while page := self.get(path, **query):
            yield from page.get(key) or ()
            if not page.get("next_page_token"):
                return
            query = {"page_token": str(page["next_page_token"])}

    def send(self, call: Call) -> dict[str, Any]:
        """Make a call.

        Raises:
            NotVisibleError: this identity may not make it.
            FailedError: the call fails.
        """
        from delivery.workspace.sdk import NotFound

        try:
            return self._do(call.method, call.path, body=dict(call.body))
        except NotFound as error:
            raise _failed(call.method, call.path, error) from error

    def command_of(self, call: Call) -> str:
        """A call as a line of a shell, by the Databricks CLI."""
        words = [call.method.lower(), call.path, "--json", json.dumps(call.body)]
        return f"{self.variables} databricks api {shlex.join(words)}"

    def header(self, path: str, name: str) -> str:
        """A header of the answer to a GET."""
        return str(self._do("GET", path, response_headers=[name]).get(name) or "")

    def _do(self, method: str, path: str, **details: Any) -> dict[str, Any]:
        from delivery.workspace.sdk import (
            DatabricksError,
            NotFound,
            PermissionDenied,
            Unauthenticated,
        )

        if self.problem:
            raise NotVisibleError(self.problem)
        # Nobody knows what a POST without an answer made: the next run looks before it makes it.
        client = self._once if method == "POST" else self._client
        try:
            answer: dict[str, Any] = client.api_client.do(method, path, **details)
        except NotFound:
            raise
        except (PermissionDenied, Unauthenticated) as error:
            raise NotVisibleError(f"{method} {path}: {_reason(error)}") from error
        except (DatabricksError, OSError, ValueError) as error:
            raise _failed(method, path, error) from error
        return answer

    @cached_property
    def _client(self) -> Any:
        return sdk_client(self.host, self.token, _RETRY_SECONDS)

    @cached_property
    def _once(self) -> Any:
        # The SDK waits for longer than this before it repeats a call.
        return sdk_client(self.host, self.token, 1)


def _reason(error: Exception) -> str:
    """The error's message, without the configuration that the SDK appends."""
    return str(error).partition(". Config:")[0].strip() or type(error).__name__


def _failed(method: str, path: str, error: Exception) -> FailedError:
    reason = _reason(error.__cause__ if isinstance(error.__cause__, Exception) else error)
    return FailedError(f"{method} {path}: {reason}")


def accounts_host(host: str) -> str:
    """The host of the accounts of a workspace's cloud; an emulated workspace is its own.

    Raises:
        DeliveryError: the address is not that of a Databricks workspace. An admin's token must
            not be sent there.
    """
    address = urlsplit(host)
    name, is_plain = address.hostname or "", address.netloc == address.hostname
    if name in _LOCAL and "@" not in address.netloc:
        return host
    for end, accounts in _CLOUDS.items():
        if address.scheme == "https" and is_plain and name.endswith(end):
            return accounts
    raise DeliveryError(
        f"host: given {host!r}, expected the address of a workspace, https://….cloud.databricks.com"
        ", https://….azuredatabricks.net or https://….gcp.databricks.com\n"
        "    Your token is an admin's, so it is sent to no other host."
    )


def connect_both(host: str, account_id: str) -> tuple[Service, Service]:
    """The workspace and its account, each with the identity of the environment.

    Args:
        account_id: empty to take that of the environment, the profile or the workspace.

    Raises:
        DeliveryError: the host is not a workspace's, or there are no credentials for it.
    """
    accounts = accounts_host(host)
    workspace = connect(host)
    account_id = account_id or sign_in(host)[0].account_id or ""
    return of_workspace(workspace), _account(accounts, account_id, is_emulated=accounts == host)


def of_workspace(workspace: Workspace) -> Service:
    """The API of a workspace that is connected already."""
    return Service(workspace.host, workspace.token)


def _account(host: str, account_id: str, is_emulated: bool) -> Service:
    if not account_id:
        problem = (
            "the account's id is not known: --account-id, or DATABRICKS_ACCOUNT_ID; it is at the "
            "top right of the account console"
        )
        return Service(host, account=ACCOUNT_ID, problem=problem)
    sign_in_hint = f"databricks auth login --host {host} --account-id {account_id}"
    try:
        config, token = sign_in(host, account_id)
    except DeliveryError:
        return Service(host, "", account_id, f"no credentials for {host}: {sign_in_hint}")
    if config.auth_type == "pat" and not is_emulated:
        unset = " (unset DATABRICKS_TOKEN)" if env_text("DATABRICKS_TOKEN") else ""
        problem = f"{host} accepts no personal access token{unset}: {sign_in_hint}"
        return Service(host, "", account_id, problem)
    return Service(host, token, account_id)
