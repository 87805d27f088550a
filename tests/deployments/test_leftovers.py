"""What was left in a workspace is told from what people made, and nothing is made twice."""

from __future__ import annotations

import copy
import json
import urllib.request
from pathlib import Path
from typing import Any

import pytest
import yaml
from conftest import Source
from harness.delivering import Sandbox

from deployments.test_bad_days import Clean, clean, killed, outcome  # noqa: F401 (a fixture)
from deployments.test_rollback import by_hand, name_of, refuse_changes_of_jobs

pytestmark = pytest.mark.slow

DECLARED = """
resources:
  jobs:
    {key}:
      name: {name}
      tags: {{project: "${{bundle.name}}", domain: extra}}
      permissions: ${{var.job_permissions}}
      email_notifications: {{on_failure: ["${{var.owner}}"]}}
      run_as: ${{var.run_as}}
      tasks: [{{task_key: a, notebook_task: {{notebook_path: /Shared/x}}}}]
"""
REASON = ("--reason", "made by hand")


def declare(sandbox: Sandbox, key: str = "extra_hand", name: str = "made by hand") -> Path:
    """A release that has a job, by a key and a name."""
    sandbox.write("resources/extra/all.yml", DECLARED.format(key=key, name=name))
    return sandbox.release(f"{key} {name}")


def called(sandbox: Sandbox, name: str) -> list[int]:
    """The jobs of a name."""
    jobs = sandbox.workspace.jobs.items()
    return [number for number, job in jobs if job["settings"]["name"] == name]


def call(sandbox: Sandbox, method: str, path: str, **body: object) -> Any:
    """A call that a person makes past the tool."""
    token = sandbox.workspace.token("deployer")
    request = urllib.request.Request(
        f"{sandbox.workspace.url}{path}",
        json.dumps(body).encode(),
        {"Authorization": f"Bearer {token}"},
        method=method,
    )
    with urllib.request.urlopen(request) as answer:
        return json.loads(answer.read() or b"{}")


# --- adopted, let go, declared again: never two ---


@pytest.fixture
def gone_back(delivered: Sandbox) -> Sandbox:
    """A job that a person made was adopted and delivered, and then its release was left."""
    mine = by_hand(delivered)
    second = declare(delivered)
    options = ("jobs.extra_hand", "--id", mine, "--archive", second, *REASON)
    delivered.done("adopt", "staging", *options)
    delivered.done("deploy", "staging", "--archive", second)
    delivered.done("rollback", "staging", "--reason", "totals are wrong")
    assert called(delivered, "made by hand") == [mine]
    return delivered


@pytest.mark.parametrize(
    ("key", "name"), [("extra_hand", "made by hand"), ("extra_hand", "renamed"),
                      ("extra_other", "made by hand")],
)  # fmt: skip
def test_a_job_that_was_let_go_is_adopted_again_and_not_made_twice(
    gone_back: Sandbox, key: str, name: str
) -> None:
    (mine,) = called(gone_back, "made by hand")
    third = declare(gone_back, key, name) if (key, name) != ("extra_hand", "made by hand") else None
    third = third or gone_back.code("third")
    before = gone_back.workspace.snapshot(files=False)
    advice = f"delivery adopt staging jobs.{key} --id {mine} --archive"
    for command in ("plan", "deploy"):
        tried = gone_back.run(command, "staging", "--archive", third)
        assert advice in tried.out + tried.err
    assert gone_back.workspace.snapshot(files=False) == before
    options = ("--id", mine, "--archive", third, *REASON)
    gone_back.done("adopt", "staging", f"jobs.{key}", *options)
    gone_back.done("deploy", "staging", "--archive", third)
    assert [number for number in gone_back.workspace.jobs if number == mine] == [mine]
    assert len(gone_back.workspace.jobs) == 2
    gone_back.done("rollback", "staging", "--reason", "once more")  # let go a second time
    assert mine in gone_back.workspace.jobs
    error = gone_back.refused("deploy", "staging", "--archive", gone_back.code("fourth"))
    assert f"delivery adopt staging jobs.{key} --id {mine} --archive" in error


def test_a_job_that_was_let_go_and_deleted_by_hand_is_made_anew(gone_back: Sandbox) -> None:
    (mine,) = called(gone_back, "made by hand")
    call(gone_back, "POST", "/api/2.2/jobs/delete", job_id=mine)
    gone_back.done("deploy", "staging", "--archive", gone_back.code("third"))
    assert len(called(gone_back, "made by hand")) == 1


def test_of_two_that_were_adopted_by_one_key_the_newest_is_offered(gone_back: Sandbox) -> None:
    (first,) = called(gone_back, "made by hand")
    gone_back.workspace.jobs[889] = {
        **copy.deepcopy(gone_back.workspace.jobs[first]), "job_id": 889,
    }  # fmt: skip
    rights = gone_back.workspace.permissions
    rights["/jobs/889"] = copy.deepcopy(rights[f"/jobs/{first}"])
    third = gone_back.code("third")
    options = ("jobs.extra_hand", "--id", 889, "--archive", third, *REASON)
    gone_back.done("adopt", "staging", *options)
    gone_back.done("deploy", "staging", "--archive", third)
    gone_back.done("rollback", "staging", "--reason", "once more")
    error = gone_back.refused("deploy", "staging", "--archive", gone_back.code("fourth"))
    assert "--id 889" in error


def test_a_renamed_job_of_the_project_s_own_is_not_let_go(delivered: Sandbox) -> None:
    """Nobody made it by hand: going back far enough removes it, as it does any job."""
    delivered.done("deploy", "staging", "--archive", declare(delivered, "extra_old", "extra_old"))
    third = declare(delivered, "extra_new", "extra_new")
    options = ("jobs.extra_new", "--from", "jobs.extra_old", "--archive", third)
    delivered.done("adopt", "staging", *options, "--reason", "renamed")
    delivered.done("deploy", "staging", "--archive", third)
    first = delivered.events("staging")[0]["release"]
    delivered.done("rollback", "staging", first, "--reason", "both are wrong")
    names = [job["settings"]["name"] for job in delivered.workspace.jobs.values()]
    assert names == ["flights_daily"]
    assert delivered.leftovers("staging") == []


# --- what a deploy that was cut off left ---


RIGHTS = "/permissions/jobs|/acls/put"  # given once what they are of is there


def cut_off(sandbox: Sandbox, source: Source, tmp_path: Path, at: str, *options: str) -> None:
    """A deploy of everything dies at a call, with its CLI; what comes next is typed elsewhere."""
    arguments = ("--archive", source.more, *options)
    writing = ("POST", "PUT", "PATCH")
    killed(
        sandbox,
        "both",
        arguments,
        lambda kill: [sandbox.workspace.fault(m, at, kill) for m in writing],
    )
    sandbox.home = tmp_path / "another"


def test_all_that_was_left_is_adopted_at_once(
    sandbox: Sandbox,
    source: Source,
    clean: Clean,  # noqa: F811
    tmp_path: Path,
) -> None:
    cut_off(sandbox, source, tmp_path, RIGHTS, "--first")
    deploy = ("deploy", "staging", "--first", "--archive", source.more)
    error = sandbox.refused(*deploy, "--break-lock", "--reason", "the machine is gone")
    left = [line for line in error.splitlines() if "delivery adopt" in line]
    assert len(left) == 1
    assert "--all --archive FILE --reason" in left[0]
    before = sandbox.workspace.snapshot()
    command = ("adopt", "staging", "--all", "--archive", source.more, "--output", "json")
    would = sandbox.done(*command, "--dry-run").json
    assert sandbox.workspace.snapshot() == before
    assert len(would["adopted"]) >= 3
    did = sandbox.done(*command, *REASON).json  # the lock of the CLI was freed with ours
    assert (did["adopted"], did["stay"]) == (would["adopted"], {})
    sandbox.done(*deploy)
    assert outcome(sandbox) == clean.outcome
    assert sandbox.leftovers("staging") == []
    assert sandbox.ledger("staging").count("adopted") == 1


def test_what_people_made_is_not_adopted_with_the_rest(
    delivered: Sandbox, source: Source, tmp_path: Path
) -> None:
    cut_off(delivered, source, tmp_path, "/unity-catalog/permissions/schema")
    schema = f"{delivered.name.replace('-', '_')}_staging.extra_raw"
    delivered.workspace.schemas[schema]["created_by"] = "ana@example.com"
    command = ("adopt", "staging", "--all", "--archive", source.more, "--output", "json")
    did = delivered.done(*command, *REASON, "--break-lock").json
    assert did["stay"] == {"schemas.extra_raw": schema}
    assert did["adopted"] != {}
    error = delivered.refused("deploy", "staging", "--archive", source.more)
    assert f"delivery adopt staging schemas.extra_raw --id {schema} --archive" in error


def test_jobs_of_an_update_that_was_cut_off_go_with_it(
    delivered: Sandbox, source: Source, tmp_path: Path
) -> None:
    """Going back from another machine removes what the newer release alone has."""
    cut_off(delivered, source, tmp_path, "/permissions/jobs")
    assert called(delivered, "extra_job") != []
    assert "resources.jobs.extra_job" not in delivered.state("staging")
    delivered.done("rollback", "staging", "--reason", "it was cut off", "--break-lock")
    assert called(delivered, "extra_job") == []
    assert delivered.leftovers("staging") == []


@pytest.mark.parametrize("at_once", [True, False])
def test_our_own_orphan_is_not_let_go_as_if_a_person_had_made_it(
    delivered: Sandbox, source: Source, tmp_path: Path, at_once: bool
) -> None:
    cut_off(delivered, source, tmp_path, "/permissions/jobs")
    options = ("--archive", source.more, *REASON, "--break-lock")
    if not at_once:
        (job,) = called(delivered, "extra_job")
        delivered.done("adopt", "staging", "jobs.extra_job", "--id", job, *options)
    delivered.done("adopt", "staging", "--all", *options)
    delivered.done("deploy", "staging", "--archive", source.more)
    delivered.done("rollback", "staging", "--reason", "totals are wrong")
    assert called(delivered, "extra_job") == []
    assert delivered.leftovers("staging") == []


def test_what_people_made_is_adopted_at_once_by_its_name(delivered: Sandbox) -> None:
    """A job that shares its name, or that another bundle deploys, is left alone."""
    names = {"one": "orders", "two": "returns", "three": "shared", "four": "of others"}
    jobs: dict[str, Any] = {}
    for key, name in names.items():
        jobs |= yaml.safe_load(DECLARED.format(key=key, name=name))["resources"]["jobs"]
    delivered.write("resources/extra/all.yml", yaml.safe_dump({"resources": {"jobs": jobs}}))
    archive = delivered.release("four jobs")
    made = {name: by_hand(delivered, name, 900 + n) for n, name in enumerate(names.values())}
    second = by_hand(delivered, "shared", 999)
    others = "/Workspace/Users/ana/.bundle/old/prod/state/metadata.json"
    settings = delivered.workspace.jobs[made["of others"]]["settings"]
    settings["deployment"] = {"kind": "BUNDLE", "metadata_file_path": others}
    command = ("adopt", "staging", "--existing", "--archive", archive, "--output", "json")
    before = delivered.workspace.snapshot()
    would = delivered.done(*command, "--dry-run").json
    assert delivered.workspace.snapshot() == before
    did = delivered.done(*command, *REASON).json
    assert did == {**would, "dry_run": False}
    assert did["adopted"] == {"jobs.one": "900", "jobs.two": "901"}
    assert did["stay"] == {"jobs.three": [str(made["shared"]), str(second)]}
    delivered.done("deploy", "staging", "--archive", archive)
    assert called(delivered, "orders") == [made["orders"]]
    assert len(called(delivered, "of others")) == 2
    delivered.done("rollback", "staging", "--reason", "totals are wrong")
    assert called(delivered, "orders") != [], "people made it, so a rollback lets it go"


def test_adopting_says_what_it_expects(delivered: Sandbox, source: Source) -> None:
    for options in (("--all", "jobs.x"), (), ("jobs.x",), ("jobs.x", "--id", "1", "--all"),
                    ("--all", "--existing"), ("--existing", "jobs.x")):  # fmt: skip
        error = delivered.refused("adopt", "staging", *options, *REASON, code=4)
        assert "adopt: expected --all, --existing, or a key with either --id 123" in error
    error = delivered.refused("adopt", "staging", "--all", "--archive", source.more, code=4)
    assert "--reason: given nothing" in error
    told_nothing = ("adopt", "staging", "--all", "--archive", source.more, "--dry-run")
    assert "nothing to adopt" in delivered.done(*told_nothing).out
    as_pipelines_do = ("--reason=x", "--id=", "--archive", source.more, "--", "staging", "all")
    assert "nothing to adopt" in delivered.done("adopt", *as_pipelines_do).out


# --- looking at a deploy that was cut off, from elsewhere ---


def test_a_deploy_that_was_cut_off_is_told_as_that_and_not_as_hands(
    delivered: Sandbox, tmp_path: Path
) -> None:
    second = delivered.code("second")
    delivered.workspace.fault("POST", "/jobs/(update|reset)", "lost")
    killed(
        delivered,
        "both",
        ("--archive", second),
        lambda strike: delivered.workspace.fault("POST", "/jobs/(update|reset)", strike, nth=2),
    )
    delivered.home = tmp_path / "another"
    (status,) = delivered.done("status", "staging", "--output", "json").json
    assert (status["sync"], status["drifted"]) == ("mixed", [])
    assert status["in_progress"].startswith(f"deploy of {name_of(second)}, started ")
    assert "delivery rollback staging" in status["in_progress"]
    delivered.done("drift", "staging")
    delivered.job("staging", "flights_daily")["timeout_seconds"] = 77
    (status,) = delivered.done("status", "staging", "--output", "json").json
    assert status["drifted"] == ["jobs.flights_daily"]
    (one,) = json.loads(delivered.run("drift", "staging", "--output", "json").out)
    assert one["path"] == "timeout_seconds"


# --- few calls ---


def test_all_jobs_are_listed_once_a_plan(delivered: Sandbox, source: Source) -> None:
    calls = delivered.workspace.requests
    calls.clear()
    delivered.done("plan", "staging", "--archive", source.more)
    assert sum("/jobs/list" in call.path for call in calls) == 1
    calls.clear()
    delivered.done("deploy", "staging", "--archive", source.more)
    assert sum("/jobs/list" in call.path for call in calls) == 2  # planned, and tidied up


# --- an answer is lost, and a call is refused ---


def test_the_automatic_rollback_knows_its_own_double(delivered: Sandbox, source: Source) -> None:
    delivered.workspace.fault("POST", "/jobs/create", "lost")
    refuse_changes_of_jobs(delivered, 2)
    result = delivered.run("deploy", "staging", "--archive", source.more)
    assert result.code == 1
    assert f"{name_of(source.first)} is running again, and verified" in result.err
    assert "past this tool" not in result.err
    assert [*called(delivered, "extra_job"), *delivered.leftovers("staging")] == []


def test_what_could_not_be_put_away_at_once_goes_with_the_rollback(
    delivered: Sandbox, source: Source
) -> None:
    """The double cannot be removed while the deploy fails: blocking its release is no excuse."""
    delivered.workspace.fault("POST", "/jobs/create", "lost")
    refuse_changes_of_jobs(delivered, 2)
    delivered.workspace.fault("POST", "/jobs/delete", 400)
    result = delivered.run("deploy", "staging", "--archive", source.more)
    assert f"{name_of(source.first)} is running again, and verified" in result.err, result.err
    assert [*called(delivered, "extra_job"), *delivered.leftovers("staging")] == []


def test_a_create_that_is_lost_and_then_refused_does_not_stop_the_rollback(
    delivered: Sandbox, source: Source
) -> None:
    delivered.workspace.fault("POST", "/jobs/create", "lost")
    delivered.workspace.fault("POST", "/jobs/create", 400, nth=2, times=2)
    result = delivered.run("deploy", "staging", "--archive", source.more)
    assert f"{name_of(source.first)} is running again, and verified" in result.err, result.err
    assert [*called(delivered, "extra_job"), *delivered.leftovers("staging")] == []


def test_a_first_deploy_that_fails_leaves_no_orphan(sandbox: Sandbox, source: Source) -> None:
    """There is nothing to go back to, and what was made without an answer is of no use."""
    sandbox.workspace.fault("POST", "/jobs/create", "lost")
    sandbox.workspace.fault("POST", "/jobs/create", 400, nth=2, times=2)
    command = ("deploy", "staging", "--first", "--archive", source.first)
    assert sandbox.run(*command).code == 1
    assert sandbox.leftovers("staging") == []
    release = name_of(source.first)
    sandbox.done("unblock", "staging", release, "--reason", "the service stumbled")
    sandbox.done(*command)
    assert len(sandbox.workspace.jobs) == 1
