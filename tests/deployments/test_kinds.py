"""Every kind of resource, planned, delivered, changed by hand, rolled back and removed later.

The story is told once for each CLI, with a resource of every kind at the same time; the tests look
at what came of each kind.
"""

from __future__ import annotations

import copy
import json
import pickle
import re
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml
from conftest import REAL, Source
from delivery.resources import KINDS
from fake_workspace import Workspace
from fake_workspace.catalog import METASTORE
from fake_workspace.wire import find
from harness.delivering import Sandbox, furnish, hold, restore
from harness.kinds_table import SAMPLES, document, found_by_plan, key_of

pytestmark = pytest.mark.slow

ADDED = "resources/kinds/all.yml"
WHY = "totals are wrong"


@dataclass
class Story:
    """What was seen, step by step; plans and drift as the documents that the tool printed."""

    plan: Any = None
    theirs: Any = None
    again: Any = None
    deployed: Any = None
    calm: Any = None
    changed: Any = None
    gone: Any = None
    lost: Any = None
    adopted: dict[str, str] = field(default_factory=dict)
    back: Any = None
    after: Any = None
    forward: Any = None
    onward: Any = None
    removed: Any = None
    states: dict[str, Any] = field(default_factory=dict)
    stored: dict[str, Any] = field(default_factory=dict)


def _stored(workspace: Workspace) -> dict[str, Any]:
    """What the workspace holds of each kind, by the id that the CLI has for it."""
    found = {
        kind: getattr(workspace, one.stored) if one.stored else workspace.services.get(kind, {})
        for kind, one in SAMPLES.items()
    }
    return {
        kind: copy.deepcopy({str(k): v for k, v in all_.items()}) for kind, all_ in found.items()
    }


def _look(sandbox: Sandbox, story: Story, step: str) -> None:
    story.states[step] = copy.deepcopy(sandbox.state("staging"))
    story.stored[step] = _stored(sandbox.workspace)


def _one(sandbox: Sandbox, kind: str) -> Any:
    """A kind's sample, as the workspace holds it, for a hand to change."""
    identity, sample = (
        sandbox.state("staging")[f"resources.{key_of(kind)}"]["__id__"],
        SAMPLES[kind],
    )
    if not sample.stored:
        return sandbox.workspace.services[kind][identity]
    found = {str(key): value for key, value in getattr(sandbox.workspace, sample.stored).items()}
    one = found[identity]
    return one.get("settings") or one.get("spec") or one


def _by_hand(sandbox: Sandbox) -> None:
    """Change a field of every kind that has one which the CLI compares."""
    for kind, sample in SAMPLES.items():
        name, value = sample.hand
        if name:
            one = _one(sandbox, kind)
            one[name] = value(one[name]) if callable(value) else copy.deepcopy(value)


def _deleted_by_hand(sandbox: Sandbox) -> None:
    """Delete what the CLI compares nothing of."""
    for kind, sample in SAMPLES.items():
        if not (sample.hand[0] or sample.stored):
            identity = sandbox.state("staging")[f"resources.{key_of(kind)}"]["__id__"]
            del sandbox.workspace.services[kind][identity]


def _forgotten(sandbox: Sandbox) -> None:
    """The state without the samples, as if others had created them."""
    file = f"{sandbox.root('staging')}/state/resources.json"
    document = json.loads(sandbox.workspace.files[file])
    kinds = tuple(f"resources.{key_of(kind)}" for kind in SAMPLES)
    kept = {key: one for key, one in document["state"].items() if not key.startswith(kinds)}
    sandbox.workspace.files[file] = json.dumps({**document, "state": kept}).encode()


def _adopted(sandbox: Sandbox, story: Story, kind: str, archive: Path) -> str:
    """Adopt a kind's sample by its id; what the tool says if it cannot."""
    identity = story.states["deployed"][f"resources.{key_of(kind)}"]["__id__"]
    done = sandbox.run(
        "adopt", "staging", key_of(kind), "--id", identity, "--reason", "x", "--archive", archive
    )
    return "" if done.code == 0 else done.err


def _drift(sandbox: Sandbox, who: str = "deployer") -> Any:
    result = sandbox.run("drift", "staging", "--output", "json", who=who)
    assert result.code in (0, 2), result.err
    return result.json


def _planned(sandbox: Sandbox, archive: Path, who: str = "deployer") -> Any:
    return sandbox.done("plan", "staging", "--archive", archive, "--output", "json", who=who).json


def _tell(sandbox: Sandbox) -> Story:
    """The whole story, from the first delivery on."""
    story = Story()
    sandbox.write(ADDED, yaml.safe_dump(document(), sort_keys=False))
    added = sandbox.release("every kind")
    story.plan, story.theirs = _planned(sandbox, added), _planned(sandbox, added, "planner")
    sandbox.done("deploy", "staging", "--archive", added)
    _look(sandbox, story, "deployed")
    story.again = _planned(sandbox, added, "planner")
    story.calm = [_drift(sandbox), _drift(sandbox, "planner")]
    held = hold(sandbox.workspace)
    _by_hand(sandbox)
    story.changed = _drift(sandbox, "planner")
    restore(sandbox.workspace, held)
    _deleted_by_hand(sandbox)
    story.gone = _drift(sandbox)
    restore(sandbox.workspace, held)
    _forgotten(sandbox)
    story.lost = _planned(sandbox, added)
    story.adopted = {kind: _adopted(sandbox, story, kind, added) for kind in SAMPLES}
    _look(sandbox, story, "adopted")
    restore(sandbox.workspace, held)
    story.back = sandbox.done(
        "rollback", "staging", "--dry-run", "--reason", WHY, "--output", "json"
    ).json
    sandbox.done("rollback", "staging", "--reason", WHY)
    _look(sandbox, story, "back")
    story.after = _drift(sandbox)
    (sandbox.path / ADDED).unlink()
    after = sandbox.release("without them")
    story.forward = _planned(sandbox, after)
    sandbox.done("deploy", "staging", "--archive", after)
    _look(sandbox, story, "forward")
    story.onward = [_planned(sandbox, after), _drift(sandbox)]
    restore(sandbox.workspace, held)
    story.removed = _planned(sandbox, after)
    return story


def _story_once(folder: Path, tell: Callable[[], Story]) -> Story:
    """The story, told by whichever of pytest's workers asks first; the others wait for it."""
    file = folder / "story.pickle"
    try:
        folder.mkdir(parents=True)
    except FileExistsError:
        end = time.monotonic() + 1500
        while not file.exists():
            assert time.monotonic() < end, "the worker that tells the story did not end"
            time.sleep(0.2)
    else:
        story: Story | str = "the worker that tells the story failed"
        try:
            story = tell()
        finally:
            (folder / "part").write_bytes(pickle.dumps(story))
            (folder / "part").replace(file)
    found = pickle.loads(file.read_bytes())
    assert isinstance(found, Story), found
    return found


@pytest.fixture(scope="module")
def story(
    source: Source,
    holdings: dict[str, Any],
    programs: Path,
    tmp_path_factory: pytest.TempPathFactory,
    request: pytest.FixtureRequest,
) -> Story:
    base = tmp_path_factory.getbasetemp()
    shared = base.parent if hasattr(request.config, "workerinput") else base

    def tell() -> Story:
        folder = tmp_path_factory.mktemp("kinds")
        path = folder / source.path.name
        shutil.copytree(source.path, path, symlinks=True)
        with Workspace(port=source.port) as one:
            furnish(one, path.name)
            restore(one, holdings)
            deployer = one.identity("deployer").principal
            one.grants["metastore", METASTORE] = {
                deployer: ["CREATE_CATALOG", "CREATE_EXTERNAL_LOCATION"]
            }
            sandbox = Sandbox(path, one, programs, folder / "home", bytecode=base / "bytecode")
            story = _tell(sandbox)
            assert one.unknown == []
        return story

    return _story_once(shared / f"kinds-{_cli(programs)}", tell)


def _cli(programs: Path) -> str:
    """Which CLI it is."""
    return "real" if programs == Path(REAL or "-").parent else "fake"


def _changes(plan: Any, key: str) -> list[str]:
    """What a plan does to a resource itself."""
    return [change["action"] for change in plan["changes"] if change["key"] == key]


def _verdicts(plan: Any, key: str) -> list[tuple[str, str]]:
    return [(v["action"], v["reason"]) for v in plan["decisions"] if v["key"] == key]


EVERY = pytest.mark.parametrize("kind", sorted(SAMPLES))


@EVERY
def test_it_is_planned(story: Story, kind: str) -> None:
    assert _changes(story.plan, key_of(kind)) == ["create"]
    assert _changes(story.theirs, key_of(kind)) == ["create"]
    marks = _verdicts(story.plan, key_of(kind))
    assert bool(marks) == (KINDS[kind].fate == "refused")


@EVERY
def test_it_is_deployed(story: Story, kind: str) -> None:
    entry = story.states["deployed"][f"resources.{key_of(kind)}"]
    assert entry["__id__"] in story.stored["deployed"][kind]
    assert _changes(story.again, key_of(kind)) == []


@pytest.mark.parametrize("kind", sorted(kind for kind in SAMPLES if KINDS[kind].address))
def test_what_an_answer_that_was_lost_made_is_found_again(story: Story, kind: str) -> None:
    """By its own fields: its id is made of them, and the workspace answers there."""
    entry, row = story.states["deployed"][f"resources.{key_of(kind)}"], KINDS[kind]
    assert row.id.format(**entry["state"]) == entry["__id__"]
    assert find("GET", row.address.format(id=entry["__id__"]).partition("?")[0])


@EVERY
def test_one_that_exists_is_found_or_named_by_its_id(story: Story, kind: str) -> None:
    """The plan of a state that does not know it; then `adopt`, which changes nothing in it."""
    reasons = " ".join(decision["reason"] for decision in story.lost["decisions"])
    assert (re.search(rf"{key_of(kind)}\b", reasons) is not None) == found_by_plan(kind)
    assert story.adopted[kind] == ""
    before, now = (
        story.states[step][f"resources.{key_of(kind)}"] for step in ("deployed", "adopted")
    )
    assert now["__id__"] == before["__id__"]
    assert story.stored["adopted"][kind] == story.stored["deployed"][kind]


def test_deployer_and_planner_plan_the_same(story: Story) -> None:
    assert story.plan["digest"] == story.theirs["digest"]
    assert story.again["changes"] == []
    assert story.calm == [[], []]


@EVERY
def test_drift_is_seen(story: Story, kind: str) -> None:
    """Of a run nothing can drift: it happened."""
    sample, key = SAMPLES[kind], key_of(kind)
    if sample.hand[0]:
        drifts = [one for one in story.changed if one["key"].startswith(key)]
    else:
        drifts = [one for one in story.gone if one["key"] == key]
    assert bool(drifts) == (kind != "job_runs")
    assert all(one["patch"] or one["hint"] for one in drifts)


@EVERY
def test_a_rollback_does_what_the_page_says(story: Story, kind: str) -> None:
    key, fate = key_of(kind), KINDS[kind].fate
    identity = story.states["deployed"][f"resources.{key}"]["__id__"]
    stays = fate == "retained"
    assert (key in story.back["retained"]) == stays
    assert _changes(story.back, key) == ([] if stays else ["delete"])
    assert (identity in story.stored["back"][kind]) == stays
    before = story.stored["deployed"][kind][identity]
    if stays:
        assert story.stored["back"][kind][identity] == before
        assert f"resources.{key}" in story.states["back"]
    elif kind != "jobs":
        assert ("warn", "holds no data, so this rollback deletes it") in _verdicts(story.back, key)


def test_after_the_rollback_all_is_as_it_was_delivered(story: Story) -> None:
    assert story.after == []


@EVERY
def test_the_next_release_keeps_what_was_retained(story: Story, kind: str) -> None:
    key, stays = key_of(kind), KINDS[kind].fate == "retained"
    assert _changes(story.forward, key) == []
    assert (key in story.forward["retained"]) == stays
    identity = story.states["deployed"][f"resources.{key}"]["__id__"]
    assert (identity in story.stored["forward"][kind]) == stays
    if stays:
        before, now = (story.stored[step][kind][identity] for step in ("deployed", "forward"))
        assert now == before


def test_after_the_next_release_nothing_is_left_to_do(story: Story) -> None:
    plan, drift = story.onward
    assert (plan["changes"], drift) == ([], [])


@EVERY
def test_removed_later_it_is_not_lost_by_accident(story: Story, kind: str) -> None:
    key = key_of(kind)
    assert _changes(story.removed, key) == ["delete"]
    refused = [reason for verdict, reason in _verdicts(story.removed, key) if verdict == "refuse"]
    if kind == "jobs":  # of jobs, a few may go at once
        assert refused == [r for r in refused if r.startswith("1 of 2 jobs would be deleted")]
    else:
        assert bool(refused) == KINDS[kind].holds_data
    assert all(f"--allow-destroy {key}" in reason for reason in refused)


# --- why targets name nobody ---


APP = """
resources:
  apps:
    kinds_app: {name: kinds-app, source_code_path: ../../src}
"""


def test_with_run_as_on_the_target_apps_cannot_be_delivered(delivered: Sandbox) -> None:
    delivered.write("resources/kinds/app.yml", APP)
    assert _changes(_planned(delivered, delivered.release("an app")), "apps.kinds_app") == [
        "create"
    ]
    run_as = "    run_as: {service_principal_name: '${var.runner}'}\n    variables:\n"
    delivered.edit("targets/staging.yml", "    variables:\n", run_as)
    found = delivered.run("check", "--only", "run_as")
    assert (found.code, "run_as: expected none" in found.out + found.err) == (1, True)
    result = delivered.run("plan", "staging", "--archive", delivered.release("as it was"))
    assert result.code == 1
    assert "apps do not support a setting a run_as user" in result.err
