"""The account of the workspace: service principals, assignments, rule sets, federation policies."""

import re
import secrets
import uuid
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from .identities import ORG_ID, Identity
from .wire import ApiError, Json, Request, call, denied, invalid, missing, next_id

if TYPE_CHECKING:
    from .server import Workspace

USER = "roles/servicePrincipal.user"
MANAGER = "roles/servicePrincipal.manager"
_PRINCIPAL = re.compile(r"(servicePrincipals|users|groups)/.+")
_RULES = "/api/2.0/preview/accounts/{account}/access-control/rule-sets"
_SCIM = "/api/2.0/accounts/{account}/scim/v2/ServicePrincipals"
_ASSIGNMENTS = "/api/2.0/accounts/{account}/workspaces/{number}/permissionassignments"
_POLICIES = "/api/2.0/accounts/{account}/servicePrincipals/{number}/federationPolicies"


@dataclass
class Account:
    """What an account knows of service principals beyond the workspace.

    Attributes:
        id: The account's id.
        inactive: The application ids of those that are switched off.
        levels: What they may do in the workspace, by their number; others are users.
        rules: Who has which role on a service principal, by its application id, beyond `roles_on`.
        etags: The versions of rule sets, by application id.
        policies: Federation policies, by the number of their service principal.
    """

    id: str = "11111111-2222-4333-8444-555555555555"
    inactive: set[str] = field(default_factory=set)
    levels: dict[int, list[str]] = field(default_factory=dict)
    rules: dict[str, list[tuple[str, str]]] = field(default_factory=dict)
    etags: dict[str, str] = field(default_factory=dict)
    policies: dict[int, list[Json]] = field(default_factory=dict)


def _check(workspace: "Workspace", request: Request, account: str) -> None:
    """Only an admin of the account calls it, and only by its own id."""
    if account != workspace.account.id:
        raise missing(f"Account {account} does not exist.")
    if not request.caller.account_admin:
        raise denied(f"{request.caller.principal} is not an admin of the account.")


def _all(workspace: "Workspace") -> list[Identity]:
    return [one for one in workspace.identities.all.values() if one.application_id]


def _numbered(workspace: "Workspace", number: str) -> Identity:
    found = next((one for one in _all(workspace) if str(one.id) == number), None)
    if found is None:
        raise missing(f"Service principal {number} does not exist.")
    return found


def _named(workspace: "Workspace", application_id: str) -> Identity:
    found = next((one for one in _all(workspace) if one.application_id == application_id), None)
    if found is None:
        raise missing(f"Service principal {application_id} does not exist.")
    return found


# docs.databricks.com/api/account/accountserviceprincipals/patch, with list and create; SCIM 2.0.


def _shown(workspace: "Workspace", one: Identity) -> Json:
    active = one.application_id not in workspace.account.inactive
    named = {"displayName": one.name, "applicationId": one.application_id}
    return {"id": str(one.id), **named, "active": active}


@call("GET", _SCIM)
def _list(workspace: "Workspace", request: Request, account: str) -> Json:
    _check(workspace, request, account)
    text = request.query.get("filter", "")
    wanted = re.fullmatch(r'(displayName|applicationId) eq "([^"]*)"', text)
    if text and not wanted:
        raise invalid(f"Cannot parse the filter {text}")
    rows = [_shown(workspace, one) for one in _all(workspace)]
    rows = [row for row in rows if not wanted or row[wanted[1]] == wanted[2]]
    return {"totalResults": len(rows), "startIndex": 1, **({"Resources": rows} if rows else {})}


@call("POST", _SCIM)
def _create(workspace: "Workspace", request: Request, account: str) -> Json:
    _check(workspace, request, account)
    name = request.json["displayName"]  # more than one may have it
    one = Identity(name, str(uuid.uuid4()), assigned=False)
    key = name if name not in workspace.identities.all else f"{name} {one.id}"
    workspace.identities.all[key] = one
    return _shown(workspace, one)


@call("PATCH", f"{_SCIM}/{{number}}")
def _patch(workspace: "Workspace", request: Request, account: str, number: str) -> Json:
    _check(workspace, request, account)
    one = _numbered(workspace, number)
    for change in request.json["Operations"]:
        if (change["op"], change["path"]) != ("replace", "active"):
            raise invalid(f"No such change: {change}")
        accounts = workspace.account.inactive
        (accounts.discard if change["value"] else accounts.add)(one.application_id)
    return _shown(workspace, one)


# docs.databricks.com/api/access-management/v1/list-workspace-permissions and
# .../update-workspace-permission-assignment: USER or ADMIN


@call("GET", _ASSIGNMENTS)
def _assignments(workspace: "Workspace", request: Request, account: str, number: str) -> Json:
    _check(workspace, request, account)
    if number != ORG_ID:
        raise missing(f"Workspace {number} does not exist.")
    levels = workspace.account.levels
    rows = [
        {
            "principal": {"principal_id": one.id, "service_principal_name": one.application_id},
            "permissions": levels.get(one.id, ["USER"]),
        }
        for one in _all(workspace)
        if one.assigned
    ]
    return {"permission_assignments": rows}


@call("PUT", f"{_ASSIGNMENTS}/principals/{{principal}}")
def _assign(
    workspace: "Workspace", request: Request, account: str, number: str, principal: str
) -> Json:
    _check(workspace, request, account)
    if number != ORG_ID:
        raise missing(f"Workspace {number} does not exist.")
    one, levels = _numbered(workspace, principal), request.json["permissions"]
    if not set(levels) <= {"USER", "ADMIN"}:
        raise invalid(f"No such permissions: {levels}")
    one.assigned, workspace.account.levels[one.id] = True, levels
    workspace.tree.make_home(one)
    workspace.identities.add(one)
    return {"principal": {"principal_id": one.id}, "permissions": levels}


# docs.databricks.com/api/access-management/v1/rule-set: a PUT replaces all rules, and the etag of
# the rules that it was made from keeps it from overwriting others.


@call("GET", _RULES)
def _get_rules(workspace: "Workspace", request: Request, account: str) -> Json:
    _check(workspace, request, account)
    if "etag" not in request.query:
        raise invalid("etag is required; it may be empty")
    return _rule_set(workspace, _of_rules(workspace, request.query["name"]))


def _of_rules(workspace: "Workspace", name: str) -> Identity:
    found = re.fullmatch(r"accounts/([^/]+)/servicePrincipals/([^/]+)/ruleSets/default", name)
    if not found or found[1] != workspace.account.id:
        raise invalid(f"{name} is not the name of a rule set")
    return _named(workspace, found[2])


def _rule_set(workspace: "Workspace", one: Identity) -> Json:
    key, account = one.application_id, workspace.account
    users = [o for o in _all(workspace) if key in o.roles_on]
    rules = [(USER, f"servicePrincipals/{user.application_id}") for user in users]
    rules += account.rules.get(key, [])
    roles: dict[str, list[str]] = {}
    for role, principal in rules:
        roles.setdefault(role, []).append(principal)
    return {
        "name": f"accounts/{account.id}/servicePrincipals/{key}/ruleSets/default",
        "etag": account.etags.setdefault(key, secrets.token_hex(8)),
        "grant_rules": [{"role": role, "principals": who} for role, who in roles.items()],
    }


@call("PUT", _RULES)
def _put_rules(workspace: "Workspace", request: Request, account: str) -> Json:
    _check(workspace, request, account)
    body = request.json["rule_set"]
    one = _of_rules(workspace, request.json["name"])
    if body.get("etag") != _rule_set(workspace, one)["etag"]:
        raise ApiError(409, "RESOURCE_CONFLICT", "The rule set was changed: read it again.")
    given = [(rule["role"], who) for rule in body["grant_rules"] for who in rule["principals"]]
    for role, who in given:
        if role not in (USER, MANAGER) or not _PRINCIPAL.fullmatch(who):
            raise invalid(f"No such rule: {role} for {who}")
    known = {f"servicePrincipals/{o.application_id}": o for o in _all(workspace)}
    for other in known.values():
        other.roles_on.discard(one.application_id)
    state = workspace.account
    state.rules[one.application_id] = []
    for role, who in given:
        if role == USER and who in known:
            known[who].roles_on.add(one.application_id)
        else:
            state.rules[one.application_id].append((role, who))
    state.etags[one.application_id] = secrets.token_hex(8)
    return _rule_set(workspace, one)


# docs.databricks.com/api/authentication/v1/list-service-principal-federation-policies and
# .../create-service-principal-federation-policy; at most 20 a service principal:
# docs.databricks.com/dev-tools/auth/oauth-federation-policy


@call("GET", _POLICIES)
def _list_policies(workspace: "Workspace", request: Request, account: str, number: str) -> Json:
    _check(workspace, request, account)
    rows = workspace.account.policies.get(_numbered(workspace, number).id, [])
    start = int(request.query.get("page_token") or 0)
    more = {"next_page_token": str(start + 1)} if len(rows) > start + 1 else {}
    return {"policies": rows[start : start + 1], **more}


@call("POST", _POLICIES)
def _create_policy(workspace: "Workspace", request: Request, account: str, number: str) -> Json:
    _check(workspace, request, account)
    one, policy = _numbered(workspace, number), request.json["oidc_policy"]
    rows = workspace.account.policies.setdefault(one.id, [])
    if not policy.get("issuer") or not policy.get("subject") or len(rows) == 20:
        raise invalid("A policy needs an issuer and a subject, and there are at most 20.")
    path = f"accounts/{account}/servicePrincipals/{number}/federationPolicies/{next_id()}"
    rows.append({"name": path, "policy_id": path.rpartition("/")[2], "oidc_policy": policy})
    return rows[-1]
