"""What headings of the guide tell about, prepared before the commands below them are typed."""

from __future__ import annotations

import copy
import json
import shutil
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import yaml

from harness.baking import commit
from harness.delivering import MORE, Lake, hold, restore
from harness.fake_forge import NAME

if TYPE_CHECKING:
    from harness.guide_screens import Stage

PAGE = "docs/delivery.md"
DOMAIN = "resources/extra/all.yml"
JOB = "resources/flights/job.yml"


def change(lake: Lake, message: str) -> None:
    """A commit in which only code differs."""
    lake.write("src/lakehouse/version_of_the_guide.py", f'"""{message}."""\n')
    commit(lake.path, message)


def once(lake: Lake, outcomes: list[str]) -> None:
    """What the next runs of the job come to; the last for all that follow."""
    lake.workspace.on_run(
        "flights_daily", lambda _: outcomes.pop(0) if len(outcomes) > 1 else outcomes[0]
    )


def more(lake: Lake) -> None:
    """A release with one more domain, which has data."""
    resources = yaml.safe_load(MORE)["resources"]
    chosen = {kind: resources[kind] for kind in ("schemas", "volumes", "jobs")}
    lake.write(DOMAIN, yaml.safe_dump({"resources": chosen}))
    old = "flights: flights_daily"
    lake.edit("delivery.yml", old, f"{old}\n    extra: extra_job")
    lake.release("feat: a new domain")
    lake.done("deploy", "staging")


def less(lake: Lake) -> None:
    """The checkout without that domain."""
    shutil.rmtree(lake.path / "resources/extra")
    lake.edit("delivery.yml", "\n    extra: extra_job", "")
    lake.release("revert: a new domain")


def by_hand(lake: Lake) -> None:
    """Somebody changes a job in the workspace."""
    lake.job("staging", "flights_daily")["timeout_seconds"] = 900


def left_lock(lake: Lake) -> None:
    """A run that is gone for good, and has the lock."""
    at = (datetime.now(UTC) - timedelta(hours=3)).isoformat()
    held = {"id": "1", "actor": "bo", "run_url": "", "at": at, "what": "deploy"}
    lake.workspace.files[f"{lake.root('staging')}/ledger/lock.json"] = json.dumps(held).encode()


def _release(stage: Stage) -> None:
    change(stage.lake, "feat: late arrivals")


def _bad(stage: Stage) -> None:
    change(stage.lake, "feat: totals by hour")
    stage.lake.done("release")
    once(stage.lake, ["fail", "succeed"])


def _drift(stage: Stage) -> None:
    by_hand(stage.lake)


def _more(stage: Stage) -> None:
    stage.lake.done("prune", "staging", "--keep", "2")  # one is left to prune: ids have no order
    more(stage.lake)


def _block(stage: Stage) -> None:
    stage.words["2026.11.23-g3f2a9c10"] = stage.lake.running("staging")


def _adopt(stage: Stage) -> None:
    """What was retained is declared again; its job is there, made by hand."""
    stage.held = hold(stage.lake.workspace)
    made = stage.lake.workspace.jobs
    job = copy.deepcopy(next(iter(made.values())))
    job["settings"].pop("deployment", None)
    job["settings"]["name"] = "extra_job"
    made[777] = {**job, "job_id": 777}
    stage.words["1042"] = "777"
    rights = stage.lake.workspace.permissions
    rights["/jobs/777"] = rights[f"/jobs/{next(iter(made))}"]


def _prune(stage: Stage) -> None:
    """As if nothing had been adopted."""
    restore(stage.lake.workspace, stage.held)


def _lock(stage: Stage) -> None:
    left_lock(stage.lake)


def _github(stage: Stage) -> None:
    _named(stage)
    stage.lake.extra = stage.forge.github()


def _gitlab(stage: Stage) -> None:
    stage.lake.extra = stage.forge.gitlab()


def _named(stage: Stage) -> None:
    stage.words["team/lakehouse"] = NAME
    stage.words["team@11/lakehouse@22"] = "acme@11/lakehouse@22"


def _going_back(stage: Stage) -> None:
    less(stage.lake)
    change(stage.lake, "feat: totals by day")
    stage.lake.done("release")
    stage.lake.done("deploy", "staging")


def _failed(stage: Stage) -> None:
    change(stage.lake, "feat: totals by week")
    stage.lake.done("release")
    once(stage.lake, ["fail", "succeed"])
    stage.lake.run("deploy", "staging")
    stage.words["2026.11.23-g3f2a9c12"] = _last_blocked(stage.lake)


def _last_blocked(lake: Lake) -> str:
    return str([e["release"] for e in lake.events("staging") if e["kind"] == "blocked"][-1])


RUNBOOKS = "docs/runbooks"
SCENES: dict[tuple[str, str], Callable[[Stage], None]] = {
    (PAGE, "The next release"): _release,
    (PAGE, "When a deploy fails"): _bad,
    (PAGE, "drift"): _drift,
    (PAGE, "rollback"): _more,
    (PAGE, "block, unblock"): _block,
    (PAGE, "adopt"): _adopt,
    (PAGE, "prune"): _prune,
    (PAGE, "break-lock"): _lock,
    ("docs/github/first-day.md", "5. Federation"): _github,
    ("docs/gitlab/first-day.md", "5. Federation"): _gitlab,
    (f"{RUNBOOKS}/rollback.md", "1. Plan the rollback"): _going_back,
    (f"{RUNBOOKS}/failed-deploy.md", "1. Check the status"): _failed,
    (f"{RUNBOOKS}/drift.md", "1. Find the change"): _drift,
    (f"{RUNBOOKS}/stuck-lock.md", "1. Find the holder"): _lock,
}
