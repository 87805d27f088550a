"""`delivery bootstrap`: from an empty account to a target that can be delivered to."""

from __future__ import annotations

import contextlib
import copy
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import fake_cli
import pytest
from conftest import REAL, Bake, Source
from fake_workspace import Workspace
from fake_workspace.identities import ORG_ID, Identity, who
from harness.baking import commit, git
from harness.delivering import CommandResult, Sandbox
from harness.fake_forge import ADMIN, NAME, Forge
from harness.warm import Started

EVERYWHERE = bool(os.environ.get("BAD_DAYS"))  # each call is a place where the tool is killed
ROLES = ("deployer", "runner", "planner")
BINDINGS = "/unity-catalog/bindings/catalog/"


@pytest.fixture
def forge() -> Iterator[Forge]:
    """A repository that says that its subjects have no ids in them."""
    with Forge(immutable=False) as one:
        yield one


@pytest.fixture(scope="session")
def fake_programs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the fake CLI: nothing here depends on the real one."""
    return fake_cli.install(tmp_path_factory.mktemp("programs")).parent


@pytest.fixture(scope="session")
def generated(bake: Bake, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project as it is generated; the host of staging, prod and preview is still to be set."""
    path = tmp_path_factory.mktemp("generated") / bake().path.name
    shutil.copytree(bake().path, path)
    git(path, "init", "--quiet", "--initial-branch=main", "--template=")
    return path


@pytest.fixture
def empty(generated: Path, fake_programs: Path, forge: Forge, tmp_path: Path) -> Iterator[Sandbox]:
    """That project, a workspace with nothing in it, and an admin of everything."""
    path = tmp_path / generated.name
    shutil.copytree(generated, path, symlinks=True)
    with Workspace() as workspace:
        owner = Identity("owner", user_name="owner@example.com", admin=True, account_admin=True)
        workspace.add_identity(owner)
        extra = {**forge.github(), "DATABRICKS_ACCOUNT_ID": workspace.account.id}
        sandbox = Sandbox(path, workspace, fake_programs, tmp_path / "home", extra)
        for target in ("staging", "prod", "preview", "dev"):
            text = sandbox.text(f"targets/{target}.yml")
            host = f'host: "{workspace.url}"'
            sandbox.write(f"targets/{target}.yml", re.sub(r'host: ".*"', host, text))
        commit(path, "chore: hosts")
        yield sandbox
        assert workspace.unknown == []


@pytest.fixture
def ready(empty: Sandbox) -> Sandbox:
    """What is there after `--apply`."""
    bootstrap(empty, "--apply", "--yes", code=0)
    return empty


def bootstrap(
    sandbox: Sandbox, *options: object, code: int, target: str = "staging", who: str = "owner"
) -> CommandResult:
    result = sandbox.run("bootstrap", target, *options, who=who)
    assert result.code == code, f"{result.code}\n{result.out}\n{result.err}"
    assert "Traceback" not in result.err
    return result


def things(sandbox: Sandbox, *options: str, code: int, **how: str) -> dict[str, Any]:
    """What a run says of each thing."""
    document = bootstrap(sandbox, *options, "--output", "json", code=code, **how).json
    found = {thing["name"]: thing for thing in document["things"]}
    assert len(found) == len(document["things"]), "two things have one name"
    return found


def there(sandbox: Sandbox) -> Any:
    """Everything in workspace and account, without ids."""
    names = {one.application_id: one.name for one in sandbox.workspace.identities.all.values()}
    account = sandbox.workspace.account
    made = {
        "principals": sorted(
            (one.name, one.assigned, sorted(names[x] for x in one.roles_on))
            for one in sandbox.workspace.identities.all.values()
        ),
        "policies": sorted(str([p["oidc_policy"] for p in ps]) for ps in account.policies.values()),
        "bindings": sandbox.workspace.bindings,
        "folders": {
            node.path: sorted(node.acl, key=lambda entry: names.get(who(entry), ""))
            for node in sandbox.workspace.tree.nodes.values()
            if node.acl
        },
        "workspace": sandbox.workspace.snapshot(files=False),
    }
    text = json.dumps(made, default=str)
    for key, name in names.items():
        text = text.replace(key, name) if key else text
    return json.loads(text)


# --- from nothing to everything ---


def test_a_plan_lists_everything_and_changes_nothing(empty: Sandbox) -> None:
    before = there(empty)
    found = things(empty, code=2)
    assert [*found] == [
        *ROLES,
        *(f"{role} in workspace" for role in ROLES),
        "deployer uses runner",
        "catalog",
        "catalog binding",
        "catalog isolation",
        *(f"grant {who}" for who in (*ROLES, "readers")),
        "folder",
        *(f"folder {role}" for role in ROLES),
        "federation staging",
        "federation staging-plan",
    ]
    assert {thing["state"] for thing in found.values()} == {"missing"}
    assert all(thing["call"] for thing in found.values())
    assert empty.workspace.writes() == []
    assert there(empty) == before
    text = bootstrap(empty, code=2).out
    assert f"✗ runner: no service principal {empty.name}-staging-runner\n    POST http" in text
    assert "20 of 20 are missing. To make them: delivery bootstrap staging --apply" in text
    assert "deployer, runner, planner, deployer in workspace, " in text


def test_what_is_applied_is_complete_and_enough_to_deliver_with(empty: Sandbox) -> None:
    made = things(empty, "--apply", "--yes", code=0)
    assert {thing["state"] for thing in made.values()} == {"made"}
    assert [*made][-1] == "targets/staging.yml"
    writes = len(empty.workspace.writes())
    assert writes == 20
    text = bootstrap(empty, code=0).out
    assert "nothing to do: all 20 are there." in text
    assert "nothing to do" in bootstrap(empty, "--apply", code=0).out
    assert len(empty.workspace.writes()) == writes
    deployer = f"{empty.name}-staging-deployer"
    client = empty.workspace.identity(deployer).application_id
    assert f"staging: DATABRICKS_HOST={empty.workspace.url} DATABRICKS_CLIENT_ID={client} " in text
    changed = git(empty.path, "diff", "--unified=0").splitlines()
    lines = [line for line in changed if re.match(r"[+-] ", line)]
    assert [line.split()[1] for line in lines] == [f"{r}:" for r in ROLES] * 2
    assert f"+      deployer: {client}" in lines


@pytest.mark.slow
def test_it_is_enough_to_deliver_with(empty: Sandbox, source: Source) -> None:
    bootstrap(empty, "--apply", "--yes", code=0)
    shutil.copy(source.path / "uv.lock", empty.path)
    archive = empty.release("chore: the first day")
    empty.extra, name = {}, f"{empty.name}-staging"
    empty.done("deploy", "staging", "--first", "--archive", archive, who=f"{name}-deployer")
    assert empty.ledger("staging")[-1] == "verified"
    empty.done("drift", "staging", who=f"{name}-planner")


def test_the_catalog_is_bound_before_it_is_isolated(empty: Sandbox) -> None:
    bootstrap(empty, "--apply", "--yes", code=0)
    paths = [f"{one.method} {one.path}" for one in empty.workspace.writes()]
    (bound,) = [n for n, path in enumerate(paths) if BINDINGS in path]
    (isolated,) = [n for n, p in enumerate(paths) if p.startswith("PATCH") and "/catalogs/" in p]
    assert bound < isolated


def test_every_target_has_its_own(ready: Sandbox) -> None:
    ready.extra["DELIVERY_FORGE_TOKEN"] = ""
    assert things(ready, "--apply", "--yes", target="prod", code=0)
    assert things(ready, "--apply", target="preview", code=0).keys() == {
        "previews",
        "previews in workspace",
        "previews uses previews",
        "catalog",
        "catalog binding",
        "catalog isolation",
        "grant previews",
        "folder",
        "folder previews",
        "federation preview",
    }
    previews = ready.workspace.identity(f"{ready.name}-previews")
    assert previews.roles_on == {previews.application_id}
    assert f"/Workspace/Deployments/{ready.name}/previews" in ready.workspace.tree.nodes
    for target in ("staging", "prod", "preview"):
        assert "nothing to do" in bootstrap(ready, target=target, code=0).out
    deployers = {ready.workspace.identity(f"{ready.name}-{t}-deployer").application_id
                 for t in ("staging", "prod")}  # fmt: skip
    assert len(deployers) == 2


def test_both_targets_may_have_one_planner(ready: Sandbox) -> None:
    planner = principal(ready, "planner").application_id
    ready.edit("targets/prod.yml", "planner: 00000000-0000-0000-0000-000000000003  # set me",
               f"planner: {planner}")  # fmt: skip
    text = bootstrap(ready, "--apply", "--yes", target="prod", code=0).out
    trusted_too = f"repo:{NAME}:environment:staging-plan"
    assert f"! federation prod-plan: also trusts {trusted_too}" in text
    for target in ("staging", "prod"):
        assert "nothing to do" in bootstrap(ready, target=target, code=0).out
    assert "planner" not in ready.run("check").out


def test_dev_has_a_catalog_for_developers(empty: Sandbox) -> None:
    assert "--developers: given nothing" in bootstrap(empty, target="dev", code=4).err
    options = ("--developers", "engineers")
    bootstrap(empty, *options, "--apply", target="dev", code=0)
    catalog = f"{empty.name.replace('-', '_')}_dev"
    granted = empty.workspace.grants["catalog", catalog]
    assert granted == {"engineers": ["CREATE_SCHEMA", "USE_CATALOG"]}
    assert "nothing to do" in bootstrap(empty, *options, target="dev", code=0).out


def test_the_policies_are_those_of_the_forge(empty: Sandbox, forge: Forge) -> None:
    forge.immutable = None  # it does not say which form it uses, so both are trusted
    bootstrap(empty, "--apply", "--yes", code=0)
    policies = trusted(empty, "deployer")
    assert [p["subject"] for p in policies] == [
        f"repo:{NAME}:environment:staging",
        "repo:acme@11/lakehouse@22:environment:staging",
    ]
    assert {tuple(p["audiences"]) for p in policies} == {(f"{empty.name}-staging",)}
    empty.extra |= {"GITHUB_ACTIONS": "", **forge.gitlab()}
    found = things(empty, "--apply", code=0)
    assert found["federation staging-plan"]["state"] == "made"
    assert "also trusts repo:" in found["federation staging"]["dangers"][0]
    policy = trusted(empty, "planner")[-1]
    assert (policy["subject"], policy["subject_claim"]) == (NAME, "project_path")
    assert policy["issuer"] == f"{forge.url}/gitlab"


def trusted(sandbox: Sandbox, role: str) -> list[Any]:
    number = sandbox.workspace.identity(f"{sandbox.name}-staging-{role}").id
    return [policy["oidc_policy"] for policy in sandbox.workspace.account.policies[number]]


def test_a_repository_that_tells_nothing_is_no_reason_to_guess(
    empty: Sandbox, forge: Forge
) -> None:
    forge.refused = "/repos/[^/]+/[^/]+$"
    forge.is_seen = False
    empty.extra |= {"GITHUB_ACTIONS": ""}
    found = things(empty, "--apply", "--yes", code=2)
    federation = found["federation staging"]
    assert (federation["state"], federation["call"]) == ("missing", None)
    assert "set project.url and project.forge" in federation["message"]
    assert empty.workspace.account.policies == {}


# --- from bootstrap to Terraform ---


def with_stack(sandbox: Sandbox, target: str = "staging") -> None:
    """Give the project the folder of a stack; what is in it is for Terraform."""
    (sandbox.path / "infra/terraform/stacks" / target).mkdir(parents=True)


def imported(sandbox: Sandbox, *options: str, code: int = 0, **how: str) -> dict[str, str]:
    """The id by address."""
    result = bootstrap(sandbox, "--imports", *options, "--output", "json", code=code, **how)
    return {one["to"]: one["id"] for one in result.json["imports"]}


def test_what_is_there_is_imported_by_what_the_provider_finds_it_by(
    ready: Sandbox, forge: Forge
) -> None:
    with_stack(ready)
    account, here = ready.workspace.account.id, f"{ORG_ID}"
    ids = {role: principal(ready, role) for role in ROLES}
    identities, in_catalog = (
        "module.environment.module.identities",
        "module.environment.module.catalog",
    )
    in_folder = "module.environment.module.folder[0]"
    policies = {
        f"{ids[role].id},{ready.workspace.account.policies[ids[role].id][0]['policy_id']}": key
        for role, key in (("deployer", "staging"), ("planner", "staging-plan"))
    }
    rules = f"accounts/{account}/servicePrincipals/{ids['runner'].application_id}/ruleSets/default"
    grantees = {role: one.application_id for role, one in ids.items()} | {
        "readers": "account users"
    }
    expected = {
        **{f'{identities}.databricks_service_principal.this["{role}"]': str(one.id)
           for role, one in ids.items()},
        **{f'{identities}.databricks_mws_permission_assignment.this["{role}"]': f"{here}|{one.id}"
           for role, one in ids.items()},
        f'{identities}.databricks_access_control_rule_set.this["runner"]': rules,
        f"{in_catalog}.databricks_catalog.this": catalog(ready),
        f"{in_catalog}.databricks_workspace_binding.this": f"{here}|catalog|{catalog(ready)}",
        **{f'{in_catalog}.databricks_grant.this["{what}"]': f"catalog/{catalog(ready)}/{who}"
           for what, who in grantees.items()},
        f"{in_folder}.databricks_directory.this": f"/Deployments/{ready.name}/staging",
        f"{in_folder}.databricks_permissions.this": f"/directories/{folder(ready).object_id}",
        **{f'{identities}.databricks_service_principal_federation_policy.this["{key}"]': one
           for one, key in policies.items()},
    }  # fmt: skip
    writes = len(ready.workspace.writes())
    assert imported(ready) == expected
    assert len(ready.workspace.writes()) == writes
    blocks = bootstrap(ready, "--imports", code=0).out
    assert blocks == "\n".join(
        f"import {{\n  to = {to}\n  id = {json.dumps(number)}\n}}\n"
        for to, number in expected.items()
    )


def test_what_is_not_there_is_left_to_terraform(empty: Sandbox) -> None:
    with_stack(empty)
    assert imported(empty) == {}
    bootstrap(empty, "--apply", "--yes", code=0)
    _unassign(empty)
    _take_role(empty)
    _switch_off(empty)  # it is there: a second one of its name would be made otherwise
    found = imported(empty)
    place = "module.environment.module.identities.databricks"
    gone = {f'{place}_mws_permission_assignment.this["runner"]',
            f'{place}_access_control_rule_set.this["runner"]'}  # fmt: skip
    assert not gone & found.keys()
    assert len(found) == 17 - len(gone)
    assert f'{place}_service_principal.this["planner"]' in found


def test_subjects_with_ids_have_addresses_of_their_own(empty: Sandbox, forge: Forge) -> None:
    with_stack(empty)
    forge.immutable = None
    bootstrap(empty, "--apply", "--yes", code=0)
    place = "module.environment.module.identities.databricks_service_principal_federation_policy"
    keys = [one.removeprefix(f"{place}.this") for one in imported(empty) if one.startswith(place)]
    assert keys == [
        f'["{key}"]' for key in ("staging", "staging-ids", "staging-plan", "staging-plan-ids")
    ]


def test_subjects_with_ids_have_ids_of_their_own(empty: Sandbox, forge: Forge) -> None:
    with_stack(empty)
    forge.immutable = None
    bootstrap(empty, "--apply", "--yes", code=0)
    ids = [number for to, number in imported(empty).items() if "federation_policy" in to]
    assert len({*ids}) == 4


def test_imports_read_only_and_need_a_stack(ready: Sandbox) -> None:
    assert (
        "infra/terraform/stacks/staging does not exist" in bootstrap(ready, "--imports", code=4).err
    )
    for option in ("--apply", "--commands"):
        assert "it only reads" in bootstrap(ready, "--imports", option, code=4).err


def test_what_may_not_be_seen_is_not_imported_silently(ready: Sandbox) -> None:
    with_stack(ready)
    guest = Identity("guest", user_name="guest@example.com")
    ready.workspace.add_identity(guest)
    result = bootstrap(ready, "--imports", who="guest", code=4)
    assert "is not an admin of the account" in result.err


# --- one thing is missing or wrong ---

Change = Callable[[Sandbox], object]


def principal(sandbox: Sandbox, role: str) -> Identity:
    return sandbox.workspace.identity(f"{sandbox.name}-staging-{role}")


def catalog(sandbox: Sandbox) -> str:
    return f"{sandbox.name.replace('-', '_')}_staging"


def folder(sandbox: Sandbox) -> Any:
    return sandbox.workspace.tree.nodes[sandbox.root("staging")]


def _switch_off(sandbox: Sandbox) -> None:
    sandbox.workspace.account.inactive.add(principal(sandbox, "planner").application_id)


def _unassign(sandbox: Sandbox) -> None:
    principal(sandbox, "runner").assigned = False


def _take_role(sandbox: Sandbox) -> None:
    principal(sandbox, "deployer").roles_on.clear()
    manager = ("roles/servicePrincipal.manager", "users/owner@example.com")
    key = principal(sandbox, "runner").application_id
    sandbox.workspace.account.rules[key] = [manager]


def _unbind(sandbox: Sandbox) -> None:
    sandbox.workspace.bindings[catalog(sandbox)] = []


def _read_only(sandbox: Sandbox) -> None:
    sandbox.workspace.bindings[catalog(sandbox)][0]["binding_type"] = "BINDING_TYPE_READ_ONLY"


def _open(sandbox: Sandbox) -> None:
    sandbox.workspace.catalogs[catalog(sandbox)]["isolation_mode"] = "OPEN"


def _no_catalog(sandbox: Sandbox) -> None:
    name = catalog(sandbox)
    del sandbox.workspace.catalogs[name], sandbox.workspace.bindings[name]
    del sandbox.workspace.grants["catalog", name]


def _revoke(who: str, privilege: str) -> Change:
    def change(sandbox: Sandbox) -> None:
        key = principal(sandbox, who).application_id if who in ROLES else who
        sandbox.workspace.grants["catalog", catalog(sandbox)][key].remove(privilege)

    return change


def _weaken(role: str, level: str) -> Change:
    def change(sandbox: Sandbox) -> None:
        key = principal(sandbox, role).application_id
        entries = folder(sandbox).acl
        entries[:] = [e for e in entries if e["service_principal_name"] != key]
        if level:
            entries.append({"service_principal_name": key, "permission_level": level})

    return change


def _no_folder(sandbox: Sandbox) -> None:
    del sandbox.workspace.tree.nodes[sandbox.root("staging")]


def _policy(role: str, key: str, value: object) -> Change:
    def change(sandbox: Sandbox) -> None:
        trusted(sandbox, role)[0][key] = value

    return change


def _placeholder(sandbox: Sandbox) -> None:
    key = principal(sandbox, "runner").application_id
    sandbox.edit("targets/staging.yml", key, "00000000-0000-0000-0000-000000000002")


def _no_principal(sandbox: Sandbox) -> None:
    """Nobody made it, and no file has its id."""
    key, name = principal(sandbox, "planner").application_id, f"{sandbox.name}-staging-planner"
    sandbox.edit("targets/staging.yml", key, "00000000-0000-0000-0000-000000000003")
    del sandbox.workspace.identities.all[name]


WRONG: list[tuple[str, Change, list[str]]] = [
    ("no principal", _no_principal,
     ["planner", "planner in workspace", "grant planner", "folder planner",
      "federation staging-plan", "targets/staging.yml"]),
    ("an inactive one", _switch_off, ["planner"]),
    ("one that is not assigned", _unassign, ["runner in workspace"]),
    ("no role", _take_role, ["deployer uses runner"]),
    ("no catalog", _no_catalog,
     ["catalog", "catalog binding", "catalog isolation", *(f"grant {w}" for w in ROLES),
      "grant readers"]),
    ("no binding", _unbind, ["catalog binding"]),
    ("a read-only binding", _read_only, ["catalog binding"]),
    ("an open catalog", _open, ["catalog isolation"]),
    ("a grant too few", _revoke("deployer", "CREATE_SCHEMA"), ["grant deployer"]),
    ("no grant of the runner", _revoke("runner", "USE_CATALOG"), ["grant runner"]),
    ("no grant of the planner", _revoke("planner", "USE_CATALOG"), ["grant planner"]),
    ("no grant of readers", _revoke("account users", "USE_CATALOG"), ["grant readers"]),
    ("no folder", _no_folder, ["folder", *(f"folder {role}" for role in ROLES)]),
    ("a level too low", _weaken("deployer", "CAN_EDIT"), ["folder deployer"]),
    ("no level", _weaken("runner", ""), ["folder runner"]),
    ("another subject", _policy("deployer", "subject", "repo:evil/lakehouse:environment:staging"),
     ["federation staging"]),
    ("another audience", _policy("planner", "audiences", ["else"]), ["federation staging-plan"]),
    ("another issuer", _policy("planner", "issuer", "https://evil.example.com"),
     ["federation staging-plan"]),
    ("another claim", _policy("planner", "subject_claim", "actor"), ["federation staging-plan"]),
    ("a placeholder", _placeholder, ["targets/staging.yml"]),
]  # fmt: skip


@pytest.mark.parametrize(("change", "expected"), [w[1:] for w in WRONG], ids=[w[0] for w in WRONG])
def test_what_is_missing_or_wrong_is_named_and_mended(
    ready: Sandbox, change: Change, expected: list[str]
) -> None:
    change(ready)
    # Nobody reads the grants of an isolated catalog here before it is bound again.
    found = things(ready, code=4 if change is _unbind else 2)
    missing = [name for name, thing in found.items() if thing["state"] == "missing"]
    of_workspace = [n for n in found if n.startswith(("catalog", "grant", "folder"))]
    in_doctor = [name for name in expected if name in of_workspace]
    if change is _placeholder:  # only the account knows the id then
        in_doctor = ["grant runner", "folder runner"]
    assert missing_by_doctor(ready) == in_doctor
    # A file is written when the ids are known, which is after the call.
    assert missing == [e for e in expected if e != "targets/staging.yml" or len(expected) == 1]
    made = things(ready, "--apply", "--yes", code=0)
    assert [name for name, thing in made.items() if thing["state"] == "made"] == expected
    assert "nothing to do" in bootstrap(ready, code=0).out


def missing_by_doctor(sandbox: Sandbox) -> list[str]:
    """What `doctor` misses of the catalog and the folder; it sends who reads it to bootstrap."""
    found = sandbox.run("doctor", "staging", "--output", "json", who="owner").json
    missing = [c for c in found if c["name"].startswith(("catalog", "grant", "folder"))]
    assert len(missing) == 11
    missing = [check for check in missing if not check["ok"]]
    assert all(check["message"].endswith(": delivery bootstrap staging") for check in missing)
    return [check["name"] for check in missing]


def test_doctor_is_content_and_skips_what_an_identity_may_not_read(ready: Sandbox) -> None:
    assert missing_by_doctor(ready) == []
    planner = f"{ready.name}-staging-planner"
    text = ready.run("doctor", "staging", who=planner).out
    assert "✓ catalog isolation: ISOLATED" in text
    assert "✓ catalog binding: not checked: GET /api/2.1/unity-catalog/bindings/" in text
    assert "✓ folder deployer: CAN_MANAGE" in text


def test_a_rule_set_keeps_its_other_rules(ready: Sandbox) -> None:
    _take_role(ready)
    key = principal(ready, "runner").application_id
    manager = ready.workspace.account.rules[key][0]
    bootstrap(ready, "--apply", code=0)
    assert manager in ready.workspace.account.rules[key]
    assert principal(ready, "deployer").roles_on == {key}


def test_a_rule_set_that_changed_meanwhile_is_read_again(ready: Sandbox) -> None:
    _take_role(ready)
    etags, key = ready.workspace.account.etags, principal(ready, "runner").application_id
    ready.workspace.fault("PUT", "/rule-sets", lambda: etags.update({key: "another"}))
    assert "deployer uses runner: PUT" in bootstrap(ready, "--apply", code=1).err
    bootstrap(ready, "--apply", code=0)
    assert principal(ready, "deployer").roles_on == {key}


def test_dangers_are_named_and_left_alone(ready: Sandbox) -> None:
    account, workspace = ready.workspace.account, ready.workspace
    folder(ready).acl.append({"user_name": "bo@example.com", "permission_level": "CAN_EDIT"})
    workspace.tree.nodes["/Workspace"].acl.append(
        {"group_name": "users", "permission_level": "CAN_MANAGE"}
    )
    other = {"workspace_id": 42, "binding_type": "BINDING_TYPE_READ_WRITE"}
    workspace.bindings[catalog(ready)].append(other)
    account.levels[principal(ready, "planner").id] = ["ADMIN"]
    rule = ("roles/servicePrincipal.user", "users/bo@example.com")
    account.rules[principal(ready, "runner").application_id] = [rule]
    account.policies[principal(ready, "deployer").id].append(
        {"oidc_policy": {"issuer": "https://evil.example.com", "subject": "me"}}
    )
    key = principal(ready, "runner").application_id
    workspace.grants["catalog", catalog(ready)][key].append("MANAGE")
    before = there(ready)
    text = bootstrap(ready, "--apply", code=0).out
    root = ready.root("staging")
    for line in (
        f"! folder: bo@example.com may write in {root}: CAN_EDIT",
        f"! folder: users may write in {root}: CAN_MANAGE",
        f"! catalog binding: the workspace 42 is bound to {catalog(ready)}, too",
        "! planner in workspace: the planner is an admin of the workspace: it may change releases",
        "! deployer uses runner: users/bo@example.com may run jobs as the runner",
        "! federation staging: also trusts me of https://evil.example.com, audience any",
        f"! grant runner: the runner has MANAGE on {catalog(ready)}",
    ):
        assert line in text, text
    assert there(ready) == before


# --- who may, and who may not ---


def test_who_is_no_admin_of_the_account_is_told_and_makes_the_rest(ready: Sandbox) -> None:
    _no_folder(ready)
    _switch_off(ready)
    result = bootstrap(ready, "--apply", code=4, who="admin")
    assert "? planner: GET /api/2.0/accounts/" in result.out
    assert "admin@example.com is not an admin of the account" in result.out
    assert "federation staging, federation staging-plan: by an admin of the account\n" in result.out
    assert "+ folder: made; before: no folder" in result.out
    planner = principal(ready, "planner").application_id
    assert planner in str(folder(ready).acl)


def test_who_may_read_but_not_make_is_told_for_what_whom_it_needs(ready: Sandbox) -> None:
    _unassign(ready)
    ready.workspace.fault("PUT", "/permissionassignments/", 403)
    text = bootstrap(ready, "--apply", code=4).out
    assert "? runner in workspace: needs an admin of the account: PUT /api/2.0/acc" in text
    bootstrap(ready, "--apply", code=0)


def test_an_account_that_is_not_named_is_no_reason_to_stop(ready: Sandbox) -> None:
    del ready.extra["DATABRICKS_ACCOUNT_ID"]
    _no_folder(ready)
    text = bootstrap(ready, code=4).out
    assert "? deployer: the account's id is not known: --account-id" in text
    assert "✗ folder: no folder" in text
    account = ready.workspace.account.id
    bootstrap(ready, "--apply", "--account-id", account, code=0)
    ready.extra["DATABRICKS_ACCOUNT_ID"] = "another"
    assert "expected a service principal of the account another" in bootstrap(ready, code=4).err


def test_a_name_that_two_have_is_not_guessed(ready: Sandbox) -> None:
    _placeholder(ready)
    name = f"{ready.name}-staging-runner"
    ready.workspace.identities.all["twin"] = Identity(name, "99999999-0000", assigned=False)
    error = bootstrap(ready, "--apply", code=4).err
    assert f"runner: 2 service principals are called {name}" in error
    assert "99999999-0000" in error


def test_ids_are_written_only_if_somebody_agrees(empty: Sandbox) -> None:
    before = empty.text("targets/staging.yml")
    result = bootstrap(empty, "--apply", code=2)
    assert "is not written: nobody can be asked; add --yes" in result.err
    assert re.search(r"^-      deployer: 0000\S+  # set me\n", result.err, re.M)
    assert re.search(r"^\+      deployer: \w{8}-\S+$", result.err, re.M)
    assert empty.text("targets/staging.yml") == before
    assert "✗ targets/staging.yml: has placeholders" in bootstrap(empty, code=2).out
    writes = len(empty.workspace.writes())
    bootstrap(empty, "--apply", "--yes", code=0)
    assert len(empty.workspace.writes()) == writes


# --- whatever goes wrong ---

KINDS: tuple[int | str, ...] = (403, 500, "reset", "lost")


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Waiting takes no time, but the clock goes on."""
    from databricks.sdk.clock import RealClock

    slept = [0.0]
    monkeypatch.setattr(RealClock, "time", lambda _: time.time() + slept[0])
    monkeypatch.setattr(
        RealClock, "sleep", lambda _, seconds: slept.__setitem__(0, slept[0] + seconds)
    )


def applied(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What `--apply` does, in this process; the states of all things."""
    from delivery.bootstrap.targets import connect_needs
    from delivery.scaffold.changes import apply
    from delivery.scaffold.ids import changed_ids

    for name, value in sandbox.settings("owner").items():
        if name.startswith(("DATABRICKS", "GITHUB")):
            monkeypatch.setenv(name, value)
    needs = connect_needs(sandbox.path, "staging")
    states = [str(step.make().state) for step in needs.steps()]
    apply(sandbox.path, changed_ids(sandbox.path, "staging", needs.unwritten_ids))
    return states


@pytest.mark.slow
def test_after_any_fault_the_next_run_completes_it(
    empty: Sandbox, quick: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    from delivery.errors import DeliveryError

    start, text = _held(empty), empty.text("targets/staging.yml")
    assert set(applied(empty, monkeypatch)) == {"made"}
    calls, complete = len(empty.workspace.requests), there(empty)
    fired = 0
    for call in range(1, calls + 1):
        for kind in KINDS if EVERYWHERE else (KINDS[call % len(KINDS)],):
            _restore(empty, start, text)
            fault = empty.workspace.fault_all(call, kind)
            with contextlib.suppress(DeliveryError):
                applied(empty, monkeypatch)
            fired += fault.fired
            empty.workspace.faults.clear()
            assert set(applied(empty, monkeypatch)) <= {"made", "present"}, (call, kind)
            assert there(empty) == complete, (call, kind)
            assert "0000-0000-0000" not in empty.text("targets/staging.yml")
    assert fired == calls * (len(KINDS) if EVERYWHERE else 1) > 40


def _held(sandbox: Sandbox) -> dict[str, Any]:
    names = ("account", "bindings", "catalogs", "grants", "tree")
    held = {name: copy.deepcopy(getattr(sandbox.workspace, name)) for name in names}
    return {**held, "identities": copy.deepcopy(sandbox.workspace.identities.all)}


def _restore(sandbox: Sandbox, held: dict[str, Any], text: str) -> None:
    copied = copy.deepcopy(held)
    tokens = sandbox.workspace.identities
    for name, value in copied.items():
        if name == "identities":
            tokens.all = value
            tokens._tokens = {t: (value.get(one.name, one), end)
                              for t, (one, end) in tokens._tokens.items()}  # fmt: skip
        else:
            setattr(sandbox.workspace, name, value)
    sandbox.workspace.files = sandbox.workspace.tree.files
    sandbox.write("targets/staging.yml", text)


@pytest.mark.slow
@pytest.mark.parametrize("step", range(1, 60) if EVERYWHERE else (9, 17, 30, 41))
def test_after_it_is_killed_the_next_run_completes_it(empty: Sandbox, step: int) -> None:
    started: list[Started] = []

    def kill() -> None:
        while not started:
            time.sleep(0.01)
        os.killpg(started[0].pid, signal.SIGKILL)

    empty.workspace.fault_all(step, kill)
    started.append(empty.start("bootstrap", "staging", "--apply", "--yes", who="owner"))
    started[0].communicate(timeout=60)
    assert started[0].wait() in (0, 128 + signal.SIGKILL)
    empty.workspace.faults.clear()
    bootstrap(empty, "--apply", "--yes", code=0)
    assert "nothing to do" in bootstrap(empty, code=0).out
    names = [one.name for one in empty.workspace.identities.all.values()]
    assert len(names) == len(set(names))


# --- commands for those who may not run tools ---


def lines(sandbox: Sandbox, code: int = 2) -> list[str]:
    out = bootstrap(sandbox, "--commands", code=code).out
    return [line for line in out.splitlines() if not line.startswith("#")]


def as_call(line: str) -> dict[str, Any]:
    words = shlex.split(line)
    at = words.index("databricks")
    assert words[at : at + 2] == ["databricks", "api"]
    method, path, flag, body = words[at + 2 :]
    variables = dict(word.split("=", 1) for word in words[:at])
    host = {"host": variables["DATABRICKS_HOST"]}
    assert ("/accounts/" in path) == ("DATABRICKS_ACCOUNT_ID" in variables)
    assert flag == "--json"
    return {"method": method.upper(), **host, "path": path, "body": json.loads(body)}


def test_the_commands_are_the_calls(empty: Sandbox) -> None:
    calls = [thing["call"] for thing in things(empty, code=2).values()]
    given = [as_call(line) for line in lines(empty)]
    assert given == [{k: v for k, v in call.items() if k != "by"} for call in calls]
    assert empty.workspace.writes() == []


def test_typed_one_after_another_the_commands_complete_it(empty: Sandbox) -> None:
    for _ in range(6):
        for call in map(as_call, lines(empty, code=2)):
            if "<" in f"{call['path']}{call['body']}":
                continue  # an id that the command before it gives
            body, token = json.dumps(call["body"]).encode(), empty.workspace.token("owner")
            request = urllib.request.Request(
                call["host"] + call["path"], body, {"Authorization": f"Bearer {token}"},
                method=call["method"],
            )  # fmt: skip
            urllib.request.urlopen(request).close()
        bootstrap(empty, "--yes", code=2)
        if not lines(empty, code=2):
            break
    bootstrap(empty, "--apply", "--yes", code=0)
    assert "nothing to do" in bootstrap(empty, code=0).out


@pytest.mark.real_cli
@pytest.mark.skipif(REAL is None, reason="REAL CLI NOT TESTED: databricks is not on the PATH")
def test_the_real_cli_takes_the_commands(empty: Sandbox) -> None:
    settings = empty.settings("owner", PATH=f"{Path(REAL or '').parent}:{os.environ['PATH']}")
    for _ in range(6):
        for line in lines(empty, code=2):
            if "<" not in line:
                subprocess.run(["sh", "-c", line], env=settings, check=True, capture_output=True)
        if not lines(empty, code=2):
            break
    assert things(empty, code=2).popitem()[0] == "targets/staging.yml"


def test_commands_for_who_may_not_look_say_so(empty: Sandbox) -> None:
    out = empty.run("bootstrap", "staging", "--commands", who="person").out
    assert "# deployer: an admin of the account; not visible here: leave it out if it is" in out
    assert len([line for line in out.splitlines() if not line.startswith("#")]) == 20


def test_there_are_no_commands_if_nothing_is_missing(ready: Sandbox) -> None:
    result = bootstrap(ready, "--commands", code=0)
    assert result.out == ""
    assert "nothing to do" in result.err
    assert (
        "--commands: expected without --apply"
        in bootstrap(ready, "--commands", "--apply", code=4).err
    )


# --- where tokens go ---


def test_a_token_is_sent_to_the_workspace_alone(empty: Sandbox) -> None:
    text = empty.text("targets/staging.yml")
    for host in (
        "https://evil.example.com",
        "https://cloud.databricks.com.evil.example.com",
        "http://lake.cloud.databricks.com",
        "https://lake.cloud.databricks.com:8443",
        "https://me@lake.cloud.databricks.com",
        "https://127.0.0.1.evil.example.com",
    ):
        empty.write("targets/staging.yml", re.sub(r'host: ".*"', f'host: "{host}"', text))
        empty.extra["DATABRICKS_HOST"] = ""
        error = bootstrap(empty, code=4).err
        assert f"host: given '{host}', expected the address of a workspace" in error
        empty.extra["DATABRICKS_HOST"] = empty.workspace.url
        assert "of DATABRICKS_HOST" in bootstrap(empty, code=3).err
    assert empty.workspace.requests == []
    assert ORG_ID not in text


# --- the whole first day ---


@pytest.mark.slow
def test_from_nothing_to_a_verified_prod(
    empty: Sandbox, forge: Forge, source: Source, tmp_path: Path
) -> None:
    """`pytest -rP` shows the commands and the seconds; no time is asserted."""
    begin, typed, name = time.perf_counter(), list[str](), empty.name

    def type_in(*words: object, who: str = "owner") -> CommandResult:
        typed.append(f"delivery {' '.join(map(str, words))}")
        return empty.done(*words, who=who)

    empty.extra |= {"GITHUB_TOKEN": ADMIN}
    forge.hub.owners = ["@acme/data-team"]
    empty.write("CODEOWNERS", "* @acme/data-team\n")
    empty.edit("delivery.yml", 'url: ""', f'url: "{forge.url}/{NAME}"')
    for target in ("staging", "prod", "preview"):
        type_in("bootstrap", target, "--apply", "--yes")
    previews = empty.workspace.identity(f"{name}-previews").application_id
    type_in("bootstrap", "github", "--previews", previews, "--apply")
    assert "nothing to do" in empty.done("bootstrap", "github", who="owner").out
    shutil.copy(source.path / "uv.lock", empty.path)
    archive = empty.release("chore: the first day")
    typed.append("delivery release")
    type_in("doctor")
    ready = dict(empty.extra)
    empty.extra = {}
    first = ("--first", "--archive", archive)
    type_in("deploy", "staging", *first, who=f"{name}-staging-deployer")
    fetched = type_in("fetch", "staging", "--into", tmp_path, "--output", "json",
                      who=f"{name}-staging-planner").json  # fmt: skip
    options = (*first[:2], fetched["archive"], "--receipt", fetched["receipt"])
    plan = tmp_path / "plan.json"
    type_in("plan", "prod", *options, "--save", plan, who=f"{name}-prod-planner")
    approved = ("--plan", plan, "--approved-by", "ana")
    type_in("deploy", "prod", *options, *approved, who=f"{name}-prod-deployer")
    assert empty.ledger("prod") == ["started", "deployed", "verified"]
    empty.extra = ready
    for target in ("staging", "prod"):
        type_in("doctor", target)
    print(f"{len(typed)} commands, {time.perf_counter() - begin:.0f} s", *typed, sep="\n")
