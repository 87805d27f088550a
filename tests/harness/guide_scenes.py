"""What headings of the guide tell about, prepared before the commands below them are typed."""

from __future__ import annotations

import copy
import json
import shutil
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import yaml

from harness.baking import commit, git
from harness.delivering import MORE, Sandbox, hold, identities, restore
from harness.fake_forge import ADMIN, NAME

if TYPE_CHECKING:
    from harness.guide_screens import Stage

PAGE = "docs/delivery.md"
OWNER = "@acme/data-team"
DOMAIN = "resources/extra/all.yml"
JOB = "resources/flights/job.yml"
CONTRACTS = "src/lakehouse/flights/contracts"


def change(sandbox: Sandbox, message: str) -> None:
    """A commit in which only code differs."""
    sandbox.write("src/lakehouse/version_of_the_guide.py", f'"""{message}."""\n')
    commit(sandbox.path, message)


def once(sandbox: Sandbox, outcomes: list[str]) -> None:
    """What the next runs of the job come to; the last for all that follow."""
    sandbox.workspace.on_run(
        "flights_daily", lambda _: outcomes.pop(0) if len(outcomes) > 1 else outcomes[0]
    )


def more(sandbox: Sandbox) -> None:
    """A release with one more domain, which has data."""
    resources = yaml.safe_load(MORE)["resources"]
    chosen = {kind: resources[kind] for kind in ("schemas", "volumes", "jobs")}
    sandbox.write(DOMAIN, yaml.safe_dump({"resources": chosen}))
    old = "flights: flights_daily"
    sandbox.edit("delivery.yml", old, f"{old}\n    extra: extra_job")
    sandbox.release("feat: a new domain")
    sandbox.done("deploy", "staging")


def less(sandbox: Sandbox) -> None:
    """The checkout without that domain."""
    shutil.rmtree(sandbox.path / "resources/extra")
    sandbox.edit("delivery.yml", "\n    extra: extra_job", "")
    sandbox.release("revert: a new domain")


def by_hand(sandbox: Sandbox) -> None:
    """Somebody changes a job in the workspace."""
    sandbox.job("staging", "flights_daily")["timeout_seconds"] = 900


def left_lock(sandbox: Sandbox) -> None:
    """A run that is gone for good, and has the lock."""
    at = (datetime.now(UTC) - timedelta(hours=3)).isoformat()
    held = {"id": "1", "actor": "bo", "run_url": "", "at": at, "what": "deploy"}
    sandbox.workspace.files[f"{sandbox.root('staging')}/ledger/lock.json"] = json.dumps(
        held
    ).encode()


def _release(stage: Stage) -> None:
    change(stage.sandbox, "feat: late arrivals")


def _tables(stage: Stage) -> None:
    """Contracts change, in each way that a plan tells apart."""
    sandbox, file = stage.sandbox, f"{CONTRACTS}/silver.flights.yml"
    time = "      - name: air_time\n        logicalType: integer\n        description: Minutes in"
    gate = (
        "      - name: gate\n        logicalType: string\n        description: Gate of departure."
    )
    sandbox.edit(file, f"{time} the air.\n", f"{gate}\n")
    sandbox.edit(file, "implementation: distance > 0", "implementation: distance > 9")
    names = f"{CONTRACTS}/silver.airports.yml"
    sandbox.edit(names, "Name of the airport.", "Name of the airport, in English.")
    commit(sandbox.path, "feat: gates")
    sandbox.done("release")


def _bad(stage: Stage) -> None:
    git(stage.sandbox.path, "checkout", "--quiet", "HEAD~1", "--", CONTRACTS)
    change(stage.sandbox, "feat: totals by hour")
    stage.sandbox.done("release")
    once(stage.sandbox, ["fail", "succeed"])


def _drift(stage: Stage) -> None:
    by_hand(stage.sandbox)


def _more(stage: Stage) -> None:
    stage.sandbox.done("prune", "staging", "--keep", "2")  # one is left to prune: ids have no order
    more(stage.sandbox)


def _block(stage: Stage) -> None:
    stage.words["2026.11.23-g3f2a9c10"] = stage.sandbox.running("staging")


def _adopt(stage: Stage) -> None:
    """What was retained is declared again; its job is there, made by hand."""
    stage.held = hold(stage.sandbox.workspace)
    made = stage.sandbox.workspace.jobs
    job = copy.deepcopy(next(iter(made.values())))
    job["settings"].pop("deployment", None)
    job["settings"]["name"] = "extra_job"
    made[777] = {**job, "job_id": 777}
    stage.words["1042"] = "777"
    rights = stage.sandbox.workspace.permissions
    rights["/jobs/777"] = rights[f"/jobs/{next(iter(made))}"]


def _prune(stage: Stage) -> None:
    """As if nothing had been adopted."""
    restore(stage.sandbox.workspace, stage.held)


def _lock(stage: Stage) -> None:
    left_lock(stage.sandbox)


def _github(stage: Stage) -> None:
    """The code is on the default branch, and an admin sits here."""
    _owned(stage)
    stage.forge.hub.owners = [OWNER]
    stage.sandbox.extra = {**stage.forge.github(), "GITHUB_TOKEN": ADMIN}


def _gitlab(stage: Stage) -> None:
    _owned(stage)
    stage.sandbox.extra = {**stage.forge.gitlab(), "DELIVERY_FORGE_TOKEN": ADMIN}


def _owned(stage: Stage) -> None:
    _named(stage)
    stage.words |= {"@team/data-team": OWNER, "orgs/team/teams": "orgs/acme/teams"}
    stage.words["team%2Flakehouse"] = NAME.replace("/", "%2F")
    if OWNER not in stage.sandbox.text("CODEOWNERS"):
        stage.sandbox.write("CODEOWNERS", f"* {OWNER}\n")
        commit(stage.sandbox.path, "chore: owners")


def _named(stage: Stage) -> None:
    stage.words["team/lakehouse"] = NAME
    stage.words["team@11/lakehouse@22"] = "acme@11/lakehouse@22"


def _nothing_yet(stage: Stage) -> None:
    """As if nothing had been made for staging; this is the last page, so nothing needs it again."""
    workspace, file = stage.sandbox.workspace, "targets/staging.yml"
    for number, (role, known) in enumerate(identities().items(), 1):
        placeholder = f"00000000-0000-0000-0000-00000000000{number}  # set me"
        stage.sandbox.edit(file, f"{role}: {known}", f"{role}: {placeholder}")
    for kept in (workspace.catalogs, workspace.bindings):
        kept.pop(f"{stage.sandbox.name}_staging")
    workspace.grants.pop(("catalog", f"{stage.sandbox.name}_staging"))
    nodes, root = workspace.tree.nodes, stage.sandbox.root("staging")
    for path in [path for path in nodes if f"{path}/".startswith(f"{root}/")]:
        del nodes[path]
    stage.forge.immutable = False
    account = {"DATABRICKS_ACCOUNT_ID": workspace.account.id}
    _named(stage)
    stage.sandbox.extra = {**stage.forge.github(), **account}


def _going_back(stage: Stage) -> None:
    less(stage.sandbox)
    change(stage.sandbox, "feat: totals by day")
    stage.sandbox.done("release")
    stage.sandbox.done("deploy", "staging")


def _failed(stage: Stage) -> None:
    change(stage.sandbox, "feat: totals by week")
    stage.sandbox.done("release")
    once(stage.sandbox, ["fail", "succeed"])
    stage.sandbox.run("deploy", "staging")
    stage.words["2026.11.23-g3f2a9c12"] = _last_blocked(stage.sandbox)


def _last_blocked(sandbox: Sandbox) -> str:
    return str([e["release"] for e in sandbox.events("staging") if e["kind"] == "blocked"][-1])


RUNBOOKS = "docs/runbooks"
SCENES: dict[tuple[str, str], Callable[[Stage], None]] = {
    (PAGE, "The next release"): _release,
    (PAGE, "Changed tables"): _tables,
    (PAGE, "When a deploy fails"): _bad,
    (PAGE, "drift"): _drift,
    (PAGE, "rollback"): _more,
    (PAGE, "block, unblock"): _block,
    (PAGE, "adopt"): _adopt,
    (PAGE, "prune"): _prune,
    (PAGE, "break-lock"): _lock,
    ("docs/first-day.md", "2. The workspaces"): _nothing_yet,
    ("docs/github/first-day.md", "2. Settings"): _github,
    ("docs/gitlab/first-day.md", "2. Settings"): _gitlab,
    (f"{RUNBOOKS}/rollback.md", "1. Plan the rollback"): _going_back,
    (f"{RUNBOOKS}/failed-deploy.md", "1. Check the status"): _failed,
    (f"{RUNBOOKS}/drift.md", "1. Find the change"): _drift,
    (f"{RUNBOOKS}/stuck-lock.md", "1. Find the holder"): _lock,
}
