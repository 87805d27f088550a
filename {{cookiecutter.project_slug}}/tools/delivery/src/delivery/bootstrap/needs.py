"""What a target needs, in the order in which it is made: each thing needs those before it."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from delivery.bootstrap.call import Call
from delivery.bootstrap.service import Service
from delivery.bootstrap.thing import Look, Step
from delivery.config.identities import Identities
from delivery.errors import DeliveryError, NotVisibleError
from delivery.forge.base import Subject

ACCOUNT_ADMIN = "an admin of the account"
METASTORE_ADMIN = "an admin of the metastore, or who may create catalogs"
CATALOG_OWNER = "the owner of the catalog"
WORKSPACE_ADMIN = "an admin of the workspace"
_USER = "roles/servicePrincipal.user"
_USE, _CREATE = "USE_CATALOG", "CREATE_SCHEMA"
_READ, _WRITE, _MANAGE = "CAN_READ", "CAN_EDIT", "CAN_MANAGE"
_LEVELS = (_READ, "CAN_RUN", _WRITE, _MANAGE)
_ADMINS = "admins"  # the group of the workspace's admins, who may do anything
_READ_WRITE = "BINDING_TYPE_READ_WRITE"
_CATALOGS = "/api/2.1/unity-catalog/catalogs"
_PATCH = "urn:ietf:params:scim:api:messages:2.0:PatchOp"


@dataclass
class Principal:
    """A service principal.

    Attributes:
        role: such as `deployer`.
        name: its display name, by which it is found while no file has its id.
        given: its application id in the files; empty if it is not set.
        id: the number by which the account knows it; empty until it is found or made.
        made: the application id that the account gave; empty until it is found or made.
    """

    role: str
    name: str
    given: str = ""
    id: str = ""
    made: str = ""

    @property
    def application_id(self) -> str:
        """What grants and permissions call it."""
        return self.made or self.given or f"<{self.role}>"

    @property
    def number(self) -> str:
        """What calls of the account call it."""
        return self.id or f"<{self.role} id>"

    def learn(self, found: Mapping[str, Any]) -> None:
        """Take the ids from an answer of the account."""
        self.id, self.made = str(found["id"]), str(found["applicationId"])


@dataclass(frozen=True)
class Trust:
    """An environment of the forge whose jobs may act as a principal.

    Attributes:
        audience: of the id tokens; it keeps jobs of one branch apart.
        problem: why its subject is not known; empty if it is.
    """

    environment: str
    principal: Principal
    issuer: str
    subjects: Sequence[Subject]
    audience: str
    problem: str = ""


@dataclass
class Needs:
    """What a target needs, and where.

    Attributes:
        principals: the service principals, in the order in which they are made.
        users: who has the role User on whom: (the user, the used).
        grants: the privileges on the catalog, by what they are for and who gets them.
        folder: empty if the target has none.
        levels: who may do what in the folder.
        storage_root: where a new catalog keeps its tables; empty for the metastore's own place.
    """

    workspace: Service
    account: Service
    workspace_id: str
    catalog: str
    principals: list[Principal] = field(default_factory=list)
    users: list[tuple[Principal, Principal]] = field(default_factory=list)
    grants: list[tuple[str, Principal | str, Sequence[str]]] = field(default_factory=list)
    folder: str = ""
    levels: list[tuple[Principal, str]] = field(default_factory=list)
    trusts: list[Trust] = field(default_factory=list)
    storage_root: str = ""

    @property
    def unwritten_ids(self) -> dict[str, str]:
        """The application ids that no file has yet, by role."""
        found = (one for one in self.principals if one.made and not one.given)
        return {one.role: one.made for one in found if one.role in Identities._fields}

    def steps(self) -> Iterator[Step]:
        """Everything that the target needs, of the account and of the workspace."""
        for one in self.principals:
            blind = partial(self._new_principal, one)
            yield Step(one.role, partial(self._principal, one), blind, one.learn)
        for one in self.principals:
            blind = partial(self._assign, one)
            yield Step(f"{one.role} in workspace", partial(self._assignment, one), blind)
        for user, used in self.users:
            blind = partial(self._give_role, user, used, {})
            yield Step(f"{user.role} uses {used.role}", partial(self._role, user, used), blind)
        yield from self.workspace_steps()
        for trust in self.trusts:
            if trust.problem:
                look = partial(Look, trust.problem, False)
                yield Step(f"federation {trust.environment}", look)
            for subject in trust.subjects:
                blind = partial(self._new_policy, trust, subject)
                look = partial(self._policy, trust, subject)
                yield Step(f"federation {trust.environment}", look, blind)

    def workspace_steps(self) -> Iterator[Step]:
        """What an identity of the workspace can read, as far as it has the rights."""
        yield Step("catalog", self._catalog, self._new_catalog)
        yield Step("catalog binding", self._binding, partial(self._bind, []))
        yield Step("catalog isolation", self._isolation, self._isolate)
        for what, who, privileges in self.grants:
            blind = partial(self._grant, who, privileges)
            yield Step(f"grant {what}", partial(self._granted, who, privileges), blind)
        if self.folder:
            yield Step("folder", self._folder, self._new_folder)
        for one, level in self.levels:
            blind = partial(self._give_level, one, level, "<folder id>")
            yield Step(f"folder {one.role}", partial(self._level, one, level), blind)

    # --- service principals ---

    def _scim(self) -> str:
        return f"/api/2.0/accounts/{self.account.account}/scim/v2/ServicePrincipals"

    def _new_principal(self, one: Principal) -> Call:
        body = {"displayName": one.name, "active": True}
        return Call(self.account, "POST", self._scim(), body, ACCOUNT_ADMIN)

    def _principal(self, one: Principal) -> Look:
        key, value = ("applicationId", one.given) if one.given else ("displayName", one.name)
        listed = self.account.get(self._scim(), filter=f'{key} eq "{value}"') or {}
        found = [entry for entry in listed.get("Resources", ()) if entry.get(key) == value]
        if not found and one.given:
            raise DeliveryError(
                f"{one.role}: given {one.given}, expected a service principal of the account "
                f"{self.account.account}\n    Correct its id in targets/, or its account: "
                "--account-id"
            )
        if not found:
            return Look(f"no service principal {one.name}", False, self._new_principal(one))
        if len(found) > 1:
            ids = ", ".join(str(entry["applicationId"]) for entry in found)
            raise DeliveryError(
                f"{one.role}: {len(found)} service principals are called {one.name}: {ids}\n"
                "    Write the id of the right one into targets/, or delete the others."
            )
        one.learn(found[0])
        if found[0].get("active") is False:
            change = {"op": "replace", "path": "active", "value": True}
            body = {"schemas": [_PATCH], "Operations": [change]}
            call = Call(self.account, "PATCH", f"{self._scim()}/{one.id}", body, ACCOUNT_ADMIN)
            return Look(f"{one.made} is not active", False, call)
        return Look(f"{found[0].get('displayName', '')}, {one.made}", True)

    def _assignments(self) -> str:
        account = f"/api/2.0/accounts/{self.account.account}"
        return f"{account}/workspaces/{self.workspace_id}/permissionassignments"

    def _assign(self, one: Principal) -> Call:
        path = f"{self._assignments()}/principals/{one.number}"
        return Call(self.account, "PUT", path, {"permissions": ["USER"]}, ACCOUNT_ADMIN)

    def _assignment(self, one: Principal) -> Look:
        listed = (self.account.get(self._assignments()) or {}).get("permission_assignments", ())
        given = [
            level
            for entry in listed
            if str(entry.get("principal", {}).get("principal_id")) == one.id
            for level in entry.get("permissions", ())
        ]
        is_admin = f"the {one.role} is an admin of the workspace: it may change releases and rights"
        dangers = (is_admin,) if "ADMIN" in given else ()
        if given:
            return Look(f"assigned as {', '.join(given)}", True, None, dangers)
        return Look("not assigned to the workspace", False, self._assign(one))

    # --- roles ---

    def rule_set(self, used: Principal) -> str:
        """The name of the rule set that tells who may act as a principal."""
        account = self.account.account
        return f"accounts/{account}/servicePrincipals/{used.application_id}/ruleSets/default"

    def _rules(self, used: Principal) -> tuple[str, str]:
        path = f"/api/2.0/preview/accounts/{self.account.account}/access-control/rule-sets"
        return path, self.rule_set(used)

    def _give_role(self, user: Principal, used: Principal, known: Mapping[str, Any]) -> Call:
        """The whole rule set, with one more principal: a call replaces all rules."""
        path, name = self._rules(used)
        rules = [dict(rule) for rule in known.get("grant_rules", ())]
        mine = next((rule for rule in rules if rule.get("role") == _USER), None)
        if mine is None:
            mine = {"role": _USER, "principals": []}
            rules.append(mine)
        mine["principals"] = [*mine.get("principals", ()), _principal_name(user)]
        etag = known.get("etag", "<etag>")
        rule_set = {"name": name, "etag": etag, "grant_rules": rules}
        body = {"name": name, "rule_set": rule_set}
        return Call(self.account, "PUT", path, body, ACCOUNT_ADMIN)

    def _role(self, user: Principal, used: Principal) -> Look:
        path, name = self._rules(used)
        known = self.account.get(path, name=name, etag="") if used.made or used.given else None
        rules = (known or {}).get("grant_rules", ())
        given = [p for r in rules if r.get("role") == _USER for p in r.get("principals", ())]
        others = [p for p in given if p != _principal_name(user)]
        dangers = tuple(f"{other} may run jobs as the {used.role}" for other in others)
        if _principal_name(user) in given:
            return Look(_USER, True, None, dangers)
        call = self._give_role(user, used, known or {})
        return Look(f"the {user.role} lacks {_USER} on the {used.role}", False, call, dangers)

    # --- the catalog ---

    def _new_catalog(self) -> Call:
        place = {"storage_root": self.storage_root} if self.storage_root else {}
        body = {"name": self.catalog, **place}
        return Call(self.workspace, "POST", _CATALOGS, body, METASTORE_ADMIN)

    def _read_catalog(self) -> dict[str, Any] | None:
        """The catalog; only its name if it is isolated from this workspace."""
        try:
            return self.workspace.get(f"{_CATALOGS}/{self.catalog}")
        except NotVisibleError:
            if self.workspace.get(self._bindings()) is None:
                raise
            return {"name": self.catalog, "isolation_mode": "ISOLATED"}

    def _catalog(self) -> Look:
        if self._read_catalog():
            return Look(self.catalog, True)
        return Look(f"no catalog {self.catalog}", False, self._new_catalog())

    def _bindings(self) -> str:
        return f"/api/2.1/unity-catalog/bindings/catalog/{self.catalog}"

    def _bind(self, wrong: Sequence[Mapping[str, Any]]) -> Call:
        number = int(self.workspace_id) if self.workspace_id.isdecimal() else self.workspace_id
        binding = {"workspace_id": number, "binding_type": _READ_WRITE}
        body = {"add": [binding], **({"remove": [*map(dict, wrong)]} if wrong else {})}
        return Call(self.workspace, "PATCH", self._bindings(), body, CATALOG_OWNER)

    def _binding(self) -> Look:
        found = list(self.workspace.pages(self._bindings(), "bindings"))
        ours = [b for b in found if str(b.get("workspace_id")) == self.workspace_id]
        dangers = tuple(
            f"the workspace {b['workspace_id']} is bound to {self.catalog}, too"
            for b in found
            if b not in ours and b.get("binding_type", _READ_WRITE) == _READ_WRITE
        )
        wrong = [b for b in ours if b.get("binding_type", _READ_WRITE) != _READ_WRITE]
        if ours and not wrong:
            return Look(f"workspace {self.workspace_id}", True, None, dangers)
        message = "bound to the workspace as read-only" if wrong else "not bound to the workspace"
        return Look(message, False, self._bind(wrong), dangers)

    def _isolate(self) -> Call:
        body = {"isolation_mode": "ISOLATED"}
        return Call(self.workspace, "PATCH", f"{_CATALOGS}/{self.catalog}", body, CATALOG_OWNER)

    def _isolation(self) -> Look:
        mode = (self._read_catalog() or {}).get("isolation_mode", "OPEN")
        if mode == "ISOLATED":
            return Look(mode, True)
        return Look("open to every workspace of the metastore", False, self._isolate())

    def _grant(self, who: Principal | str, privileges: Sequence[str]) -> Call:
        change = {"principal": _granted_name(who), "add": [*privileges]}
        path = f"/api/2.1/unity-catalog/permissions/catalog/{self.catalog}"
        return Call(self.workspace, "PATCH", path, {"changes": [change]}, CATALOG_OWNER)

    def _granted(self, who: Principal | str, privileges: Sequence[str]) -> Look:
        path, name = self._grant(who, privileges).path, _granted_name(who)
        rows = list(self.workspace.pages(path, "privilege_assignments"))
        given = {p for row in rows if row["principal"] == name for p in row.get("privileges", ())}
        lacking = [p for p in privileges if p not in given and "ALL_PRIVILEGES" not in given]
        more = sorted(given - {_USE, _CREATE, "BROWSE"} if isinstance(who, Principal) else ())
        dangers = tuple(f"{_role_of(who)} has {right} on {self.catalog}" for right in more)
        if lacking:
            message = f"{name} lacks {', '.join(lacking)} on {self.catalog}"
            return Look(message, False, self._grant(who, lacking), dangers)
        return Look(f"{name}: {', '.join(privileges)}", True, None, dangers)

    # --- the folder ---

    def _new_folder(self) -> Call:
        path = "/api/2.0/workspace/mkdirs"
        return Call(self.workspace, "POST", path, {"path": self.folder}, WORKSPACE_ADMIN)

    def folder_id(self) -> str:
        """The folder's id; empty if it does not exist."""
        found = self.workspace.get("/api/2.0/workspace/get-status", path=self.folder)
        return str(found["object_id"]) if found else ""

    def _rights(self, number: str) -> list[tuple[str, str]]:
        """Who has which level in the folder, by itself or from a folder above."""
        found = self.workspace.get(f"/api/2.0/permissions/directories/{number}") or {}
        names = ("service_principal_name", "user_name", "group_name")
        return [
            (next((str(entry[n]) for n in names if entry.get(n)), ""), right["permission_level"])
            for entry in found.get("access_control_list", ())
            for right in entry.get("all_permissions", ())
        ]

    def _folder(self) -> Look:
        number = self.folder_id()
        if not number:
            return Look(f"no folder {self.folder}", False, self._new_folder())
        managers = {one.application_id for one, level in self.levels if level == _MANAGE}
        dangers = tuple(
            f"{who} may write in {self.folder}: {level}"
            for who, level in dict.fromkeys(self._rights(number))
            if _rank(level) >= _rank(_WRITE) and who not in {*managers, _ADMINS}
        )
        return Look(self.folder, True, None, dangers)

    def _give_level(self, one: Principal, level: str, number: str) -> Call:
        entry = {"service_principal_name": one.application_id, "permission_level": level}
        path = f"/api/2.0/permissions/directories/{number}"
        return Call(
            self.workspace, "PATCH", path, {"access_control_list": [entry]}, WORKSPACE_ADMIN
        )

    def _level(self, one: Principal, level: str) -> Look:
        number = self.folder_id()
        rights = self._rights(number) if number else []
        given = [right for who, right in rights if who == one.application_id]
        if any(_rank(right) >= _rank(level) for right in given):
            return Look(max(given, key=_rank), True)
        message = f"the {one.role} has {', '.join(given) or 'no right'}, not {level}"
        return Look(message, False, self._give_level(one, level, number or "<folder id>"))

    # --- federation ---

    def _policies(self, one: Principal) -> str:
        account = f"/api/2.0/accounts/{self.account.account}"
        return f"{account}/servicePrincipals/{one.number}/federationPolicies"

    def _new_policy(self, trust: Trust, subject: Subject) -> Call:
        policy = {"issuer": trust.issuer, "audiences": [trust.audience], "subject": subject.value}
        claim = {} if subject.claim == "sub" else {"subject_claim": subject.claim}
        body = {"oidc_policy": {**policy, **claim}}
        return Call(self.account, "POST", self._policies(trust.principal), body, ACCOUNT_ADMIN)

    def _listed(self, one: Principal) -> list[dict[str, Any]]:
        """The federation policies of a principal."""
        return [*self.account.pages(self._policies(one), "policies")] if one.id else []

    def policy_id(self, trust: Trust, subject: Subject) -> str:
        """The id of the policy that trusts a subject; empty if there is none."""
        for policy in self._listed(trust.principal):
            if _is_policy(policy.get("oidc_policy", {}), trust, subject):
                return str(policy.get("policy_id") or policy["name"].rpartition("/")[2])
        return ""

    def _policy(self, trust: Trust, subject: Subject) -> Look:
        one = trust.principal
        found = [policy.get("oidc_policy", {}) for policy in self._listed(one)]
        dangers = tuple(
            f"also trusts {policy.get('subject')} of {policy.get('issuer')}, audience "
            f"{', '.join(policy.get('audiences', ())) or 'any'}"
            for policy in found
            if not any(_is_policy(policy, trust, known) for known in trust.subjects)
        )
        if any(_is_policy(policy, trust, subject) for policy in found):
            return Look(f"{subject}, audience {trust.audience}", True, None, dangers)
        message = f"{one.role} does not trust {subject}, audience {trust.audience}"
        return Look(message, False, self._new_policy(trust, subject), dangers)


def _is_policy(policy: Mapping[str, Any], trust: Trust, subject: Subject) -> bool:
    found = (policy.get("issuer"), policy.get("subject"), policy.get("subject_claim") or "sub")
    wanted = (trust.issuer, subject.value, subject.claim)
    return found == wanted and trust.audience in policy.get("audiences", ())


def _principal_name(one: Principal) -> str:
    """What rule sets call it."""
    return f"servicePrincipals/{one.application_id}"


def _granted_name(who: Principal | str) -> str:
    return who.application_id if isinstance(who, Principal) else who


def _role_of(who: Principal | str) -> str:
    return f"the {who.role}" if isinstance(who, Principal) else who


def _rank(level: str) -> int:
    """A level as a number; one that is unknown is the highest."""
    return _LEVELS.index(level) if level in _LEVELS else len(_LEVELS)
