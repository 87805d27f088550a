"""Who calls: identities, their tokens, and the calls about them."""

import base64
import re
import secrets
import time
import uuid
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from .wire import Answer, ApiError, Json, Request, call, next_id

if TYPE_CHECKING:
    from .server import Workspace

ORG_ID = "900800700600"
NAMES = ("user_name", "group_name", "service_principal_name")


@dataclass
class Identity:
    """A user or a service principal of the workspace."""

    name: str
    application_id: str = ""
    user_name: str = ""
    groups: tuple[str, ...] = ()
    admin: bool = False
    account_admin: bool = False
    assigned: bool = True
    roles_on: set[str] = field(default_factory=set)
    id: int = field(default_factory=next_id)

    @property
    def principal(self) -> str:
        """The name in permissions and grants."""
        return self.application_id or self.user_name

    @property
    def principals(self) -> set[str]:
        """Every name in permissions and grants that means this identity."""
        return {self.principal, "users", "account users", *self.groups} | (
            {"admins"} if self.admin else set()
        )

    def entry(self, level: str) -> Json:
        """Its line in an access control list."""
        kind = "service_principal_name" if self.application_id else "user_name"
        return {kind: self.principal, "permission_level": level}


NOBODY = Identity("nobody")


def who(entry: Json) -> str:
    """The principal of a line in an access control list."""
    return next((str(entry[name]) for name in NAMES if entry.get(name)), "")


class Identities:
    """All identities of a workspace, and which token means whom."""

    def __init__(self) -> None:
        self.all: dict[str, Identity] = {}
        self._tokens: dict[str, tuple[Identity, float]] = {}
        self._fixed: dict[str, str] = {}

    def add(self, identity: Identity) -> str:
        """Makes it known, and a token for it."""
        self.all[identity.name] = identity
        self._fixed[identity.name] = self.issue(identity)
        return self._fixed[identity.name]

    def issue(self, identity: Identity, seconds: float = float("inf")) -> str:
        """A new token that lives for so long."""
        token = f"dapi{secrets.token_hex(16)}"
        self._tokens[token] = (identity, time.monotonic() + seconds)
        return token

    def token(self, name: str) -> str:
        """The token of an identity that does not end by itself."""
        return self._fixed[name]

    def expire(self, name: str) -> None:
        """Ends all tokens of an identity; `token` gives a new one."""
        identity = self.all[name]
        for token, (owner, _) in self._tokens.items():
            if owner is identity:
                self._tokens[token] = (identity, 0.0)
        self._fixed[name] = self.issue(identity)

    def peek(self, authorization: str) -> Identity:
        """The identity of a call, valid or not."""
        return self._tokens.get(authorization.removeprefix("Bearer "), (NOBODY, 0.0))[0]

    def check(self, authorization: str) -> None:
        """Refuses a token that is not known, or no longer valid."""
        token = authorization.removeprefix("Bearer ")
        if token not in self._tokens:
            raise ApiError(401, "UNAUTHENTICATED", "Credential was not sent or is not valid.")
        if self._tokens[token][1] < time.monotonic():
            raise ApiError(403, "PERMISSION_DENIED", "Invalid access token: it has expired.")

    def find(self, principal: str) -> Identity | None:
        """The identity with this name in permissions."""
        return next((one for one in self.all.values() if one.principal == principal), None)


def service_principal(name: str, application_id: str = "") -> Identity:
    """A service principal; its id is made from its name unless given."""
    made = str(uuid.uuid5(uuid.NAMESPACE_DNS, name))
    return Identity(name, application_id=application_id or made)


@call("GET", "/api/2.0/preview/scim/v2/Me")
def _me(workspace: "Workspace", request: Request) -> Answer:
    caller = request.caller
    groups = ["users", *caller.groups, *(["admins"] if caller.admin else [])]
    body = {
        "id": str(caller.id),
        "userName": caller.principal,
        "displayName": caller.name,
        "active": True,
        "groups": [{"display": group, "value": group} for group in groups],
    }
    return Answer(body, headers={"X-Databricks-Org-Id": ORG_ID})


@call("GET", "/api/2.0/preview/scim/v2/ServicePrincipals")
def _service_principals(workspace: "Workspace", request: Request) -> Json:
    wanted = re.search(r"""displayName eq ['"](.*)['"]""", request.query.get("filter", ""))
    rows = [
        {"id": str(one.id), "applicationId": one.application_id, "displayName": one.name}
        for one in workspace.identities.all.values()
        if one.application_id and (not wanted or wanted[1] == one.name)
    ]
    first = int(request.query.get("startIndex") or 1)
    return {"Resources": rows[first - 1 :], "totalResults": len(rows), "startIndex": first}


@call("GET", "/.well-known/databricks-config", public=True)
def _host(workspace: "Workspace", request: Request) -> Json:
    return {"oidc_endpoint": f"{workspace.url}/oidc", "workspace_id": ORG_ID}


@call("GET", "/oidc/.well-known/oauth-authorization-server", public=True)
def _oidc(workspace: "Workspace", request: Request) -> Json:
    return {
        "authorization_endpoint": f"{workspace.url}/oidc/v1/authorize",
        "token_endpoint": f"{workspace.url}/oidc/v1/token",
    }


@call("POST", "/oidc/v1/token", public=True)
def _exchange(workspace: "Workspace", request: Request) -> Json:
    form = {name: value.decode() for name, value in request.form().items()}
    client = form.get("client_id") or _basic_user(request.headers.get("authorization", ""))
    identity = workspace.identities.find(client)
    subject = form.get("subject_token", "")
    trusted = workspace.id_tokens is None or subject in workspace.id_tokens.get(client, ())
    if identity is None or not subject or not trusted:
        raise ApiError(401, "invalid_client", f"No federation policy of {client!r} matches.")
    seconds = workspace.token_seconds
    token = workspace.identities.issue(identity, seconds)
    return {
        "access_token": token,
        "expires_in": seconds,
        "scope": "all-apis",
        "token_type": "Bearer",
    }


def _basic_user(authorization: str) -> str:
    kind, _, value = authorization.partition(" ")
    return base64.b64decode(value).decode().split(":")[0] if kind == "Basic" else ""
