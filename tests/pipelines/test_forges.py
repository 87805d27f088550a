"""What delivery says to GitHub and GitLab, and what it believes of what they answer."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import Bake
from delivery.cli.options import Output
from delivery.cli.output import write_result
from delivery.config.policy import Branches, Policy, ProjectInfo
from delivery.errors import DeliveryError, Exit
from delivery.forge.detect import current_forge, forge_of
from delivery.forge.environment import (
    actor,
    escape_workflow_commands,
    forge_kind,
)
from delivery.forge.github import GitHub
from delivery.plan.approval import approvers, check_approval, earlier_approvers
from delivery.plan.model import Plan
from delivery.status.doctor import HealthCheck, _forge, run_checks
from delivery.workspace.client import Workspace
from harness.baking import TEMPLATE
from harness.fake_forge import NAME, Forge, Text

KINDS = ("github", "gitlab")
POLICY = Policy(
    project=ProjectInfo(name="Demo", compute="serverless"),
    branches=Branches(integration="main", targets={"staging": "main", "prod": "main"}, prefixes=[]),
)
BY_NAME = f"repo:{NAME}:environment:prod"
BY_ID = "repo:acme@11/lakehouse@22:environment:prod"
Enter = Callable[[str], None]


@pytest.fixture
def fake() -> Iterator[Forge]:
    with Forge() as one:
        yield one
    assert one.unknown == []


@pytest.fixture
def enter(fake: Forge, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Enter:
    """Become a job of one of the forges, for request 7."""
    event = tmp_path / "event.json"
    event.write_text(json.dumps({"pull_request": {"number": 7}}), encoding="utf-8")

    def become(kind: str) -> None:
        for name in [name for name in os.environ if name.startswith(("GITHUB_", "CI_"))]:
            monkeypatch.delenv(name)
        given = fake.github(event=str(event)) if kind == "github" else fake.gitlab(request=7)
        for name, value in given.items():
            monkeypatch.setenv(name, value)

    return become


def plan() -> Plan:
    return Plan.model_construct()


@pytest.mark.parametrize("kind", KINDS)
def test_an_environment_that_asks_nobody_approves_nothing(
    kind: str, fake: Forge, enter: Enter
) -> None:
    enter(kind)
    with pytest.raises(
        DeliveryError, match="the environment prod has no required reviewers"
    ) as refused:
        check_approval(POLICY, "prod", plan(), "", "somebody")
    assert refused.value.code is Exit.REFUSED
    with pytest.raises(DeliveryError, match="the environment prod has no required reviewers"):
        approvers(POLICY, "prod")  # what going back and exceptions ask
    fake.reviewers["prod"] = ["ana"]
    check_approval(POLICY, "prod", plan(), "", "ana")
    with pytest.raises(DeliveryError, match="expected the approver"):
        check_approval(POLICY, "prod", plan(), "", "")


@pytest.mark.parametrize("kind", KINDS)
def test_a_rule_that_was_bypassed_is_no_approval(kind: str, fake: Forge, enter: Enter) -> None:
    enter(kind)
    fake.reviewers["prod"] = ["ana"]
    with pytest.raises(DeliveryError, match="no reviewer has approved this job") as refused:
        approvers(POLICY, "prod")
    assert refused.value.code is Exit.REFUSED


def test_gitlab_without_a_token_is_not_taken_at_its_word(
    fake: Forge, enter: Enter, monkeypatch: pytest.MonkeyPatch
) -> None:
    enter("gitlab")
    fake.reviewers["prod"] = ["ana"]
    monkeypatch.delenv("DELIVERY_FORGE_TOKEN")
    with pytest.raises(DeliveryError, match="without DELIVERY_FORGE_TOKEN") as refused:
        check_approval(POLICY, "prod", plan(), "", "somebody")
    assert refused.value.code is Exit.REFUSED
    with pytest.raises(DeliveryError, match="without DELIVERY_FORGE_TOKEN"):
        approvers(POLICY, "prod")


@pytest.mark.parametrize("kind", KINDS)
def test_a_forge_that_does_not_answer_approves_nothing(
    kind: str, fake: Forge, enter: Enter
) -> None:
    enter(kind)
    fake.reviewers["prod"], fake.refused = ["ana"], "environments"
    with pytest.raises(DeliveryError, match="403"):
        check_approval(POLICY, "prod", plan(), "", "somebody")


@pytest.mark.parametrize("kind", KINDS)
def test_who_approved_is_asked_of_the_forge(kind: str, fake: Forge, enter: Enter) -> None:
    enter(kind)
    fake.reviewers["prod"], fake.approvals["prod"] = ["ana"], ["ana", "bo"]
    assert approvers(POLICY, "prod") == "ana, bo"


def test_an_approval_is_found_however_many_deployments_came_after_it(
    fake: Forge, enter: Enter
) -> None:
    enter("gitlab")
    fake.reviewers["prod"], fake.approvals["prod"], fake.later = ["ana"], ["ana"], 250
    assert approvers(POLICY, "prod") == "ana"


def test_an_approval_of_an_earlier_plan_of_the_run_does_not_count(
    fake: Forge, enter: Enter, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first attempt was approved; the second was made anew and let through by an admin."""
    enter("github")
    fake.reviewers["prod"], fake.approvals["prod"] = ["ana", "bo"], ["ana"]
    monkeypatch.setenv("GITHUB_RUN_ATTEMPT", "2")
    assert earlier_approvers(POLICY, "prod") == ["ana"]  # as the plan of the second attempt says
    monkeypatch.setenv("DELIVERY_APPROVED_BEFORE", "ana")
    with pytest.raises(DeliveryError, match="no reviewer has approved this job"):
        approvers(POLICY, "prod")
    for again in ("bo", "ana"):
        fake.approvals["prod"] = ["ana", again]
        assert approvers(POLICY, "prod") == again


def test_a_plan_that_was_approved_once_may_be_finished(
    fake: Forge, enter: Enter, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only the job that deploys is started again: it is the plan that was approved."""
    enter("github")
    fake.reviewers["prod"], fake.approvals["prod"] = ["ana"], ["ana"]
    monkeypatch.setenv("GITHUB_RUN_ATTEMPT", "2")
    monkeypatch.setenv("DELIVERY_APPROVED_BEFORE", "")
    assert approvers(POLICY, "prod") == "ana"


def test_a_job_without_a_plan_is_not_started_again_on_an_old_approval(
    fake: Forge, enter: Enter, monkeypatch: pytest.MonkeyPatch
) -> None:
    enter("github")
    fake.reviewers["prod"], fake.approvals["prod"] = ["ana"], ["ana"]
    monkeypatch.setenv("GITHUB_RUN_ATTEMPT", "2")
    with pytest.raises(
        DeliveryError, match="given attempt 2 of a run, expected its first"
    ) as error:
        approvers(POLICY, "prod")
    assert error.value.code is Exit.REFUSED


def test_the_ledger_names_who_began_a_run_and_who_started_it_again(
    enter: Enter, monkeypatch: pytest.MonkeyPatch
) -> None:
    enter("github")
    monkeypatch.setenv("GITHUB_ACTOR", "ana")
    monkeypatch.setenv("GITHUB_TRIGGERING_ACTOR", "ana")
    assert actor(Workspace("https://example.com", "")) == "ana"
    monkeypatch.setenv("GITHUB_TRIGGERING_ACTOR", "bo")
    assert actor(Workspace("https://example.com", "")) == "ana, restarted by bo"


def test_a_summary_is_shortened_before_github_drops_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    file = tmp_path / "summary"
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(file))
    lines = [f"~ update jobs.flügel_{number}" for number in range(60_000)]
    write_result(Output.JSON, {}, "\n".join([*lines, "digest 0123"]))
    text = file.read_text(encoding="utf-8")
    assert 900_000 < len(text.encode()) < 1024 * 1024
    assert text.startswith("```text\n~ update jobs.flügel_0\n")
    assert text.endswith("digest 0123\n```\n")
    left_out = re.search(r"^… (\d+) lines are omitted here", text, re.MULTILINE)
    assert left_out
    assert int(left_out[1]) + len(text.splitlines()) - 3 == len(lines) + 1


def test_the_forge_is_not_asked_where_nobody_has_to_approve(fake: Forge, enter: Enter) -> None:
    enter("github")
    fake.refused = ""  # a job that may not ask
    assert approvers(POLICY, "staging") == ""


def test_an_approval_of_another_environment_does_not_count(fake: Forge, enter: Enter) -> None:
    enter("github")
    fake.reviewers["prod"], fake.approvals["staging"] = ["ana"], ["ana"]
    with pytest.raises(DeliveryError, match="no reviewer has approved this job"):
        approvers(POLICY, "prod")


@pytest.mark.parametrize("kind", KINDS)
def test_a_comment_is_kept_up_to_date(kind: str, fake: Forge, enter: Enter) -> None:
    enter(kind)
    fake.comments += [Text(number + 1, f"talk {number}", author="User") for number in range(120)]
    here = current_forge()
    assert here is not None
    first = here.comment("plan of staging", "one")
    assert here.comment("plan of staging", "two") == first
    here.comment("preview", "up")
    bodies = [comment.body for comment in fake.comments[120:]]
    assert bodies == [
        "<!-- delivery: plan of staging -->\ntwo",
        "<!-- delivery: preview -->\nup",
    ]


@pytest.mark.parametrize("kind", KINDS)
def test_a_person_s_text_is_not_taken_for_ours(kind: str, fake: Forge, enter: Enter) -> None:
    enter(kind)
    fake.issues.append(Text(9, "<!-- delivery: drift -->\nmine", author="User"))
    fake.comments.append(Text(1, "<!-- delivery: preview -->\nmine", author="User"))
    here = current_forge()
    assert here is not None
    here.comment("preview", "up")
    assert fake.comments[0].body.endswith("mine")
    assert len(fake.comments) == 2
    here.issue("drift", "found")
    assert fake.issues[0].body.endswith("mine")
    assert len(fake.issues) == 2


def test_what_the_code_of_a_request_wrote_is_shown_as_text(
    fake: Forge, enter: Enter, tmp_path: Path
) -> None:
    from delivery.cli.app import build_app
    from typer.testing import CliRunner

    enter("github")
    file = tmp_path / "preview.md"
    file.write_text("@everyone /approve [bold]```\n# approved by ana", encoding="utf-8")
    done = CliRunner().invoke(build_app(), ["forge", "comment", "--plain", "preview", str(file)])
    assert done.exit_code == 0, done.output
    (comment,) = fake.comments
    text = "@everyone /approve [bold]```\n# approved by ana"
    assert comment.body == f"<!-- delivery: preview -->\n````text\n{text}\n````\n"


@pytest.mark.parametrize("kind", KINDS)
def test_an_issue_is_opened_updated_and_closed(kind: str, fake: Forge, enter: Enter) -> None:
    enter(kind)
    here = current_forge()
    assert here is not None
    assert here.issue("drift on prod", "") == ""
    assert fake.issues == []
    here.issue("drift on prod", "one")
    here.issue("drift on prod", "two")
    (issue,) = fake.issues
    assert (issue.title, issue.body.endswith("two"), issue.open) == ("drift on prod", True, True)
    here.issue("drift on prod", "")
    assert [issue.open for issue in fake.issues] == [False]
    here.issue("drift on prod", "three")
    assert [issue.open for issue in fake.issues] == [False, True]


@pytest.mark.parametrize("kind", KINDS)
def test_a_long_text_is_cut_before_the_forge_refuses_it(
    kind: str, fake: Forge, enter: Enter
) -> None:
    enter(kind)
    here = current_forge()
    assert here is not None
    here.comment("plan", "x" * 100_000)
    assert len(fake.comments[0].body) < 65_536
    assert fake.comments[0].body.endswith("the rest is in the job's log.")


@pytest.mark.parametrize("kind", KINDS)
def test_the_token_goes_to_the_forge_alone(kind: str, fake: Forge, enter: Enter) -> None:
    enter(kind)
    here = current_forge()
    assert here is not None
    here.issue("drift on prod", "one")
    assert {token for *_, token in fake.seen} <= {
        "Bearer a-token-of-the-job",
        "a-token-of-the-project",
    }


@pytest.mark.parametrize(
    ("immutable", "expected"),
    [
        (
            None,
            "repo:acme/lakehouse:environment:prod or repo:acme@11/lakehouse@22:environment:prod",
        ),
        (True, BY_ID),
        (False, BY_NAME),
    ],
)
def test_doctor_names_the_subjects_of_github(
    immutable: bool | None, expected: str, fake: Forge, enter: Enter
) -> None:
    enter("github")
    fake.immutable = immutable
    assert symptoms()["prod subject"].message == expected


def test_doctor_names_the_subjects_of_gitlab(enter: Enter) -> None:
    enter("gitlab")
    found = symptoms()
    main = f"project_path:{NAME}:ref_type:branch:ref:main"
    assert {found[f"{e} subject"].message for e in ("staging", "prod", "prod-plan")} == {main}
    assert found["preview subject"].message == found["staging-plan subject"].message
    assert found["staging-plan subject"].message == f"{NAME} (subject_claim: project_path)"


@pytest.mark.parametrize(
    ("image", "well"),
    [
        ("python:3.11", False),
        ("{name: python:3.11, entrypoint: []}", False),
        ("\n    name: python:3.11", False),
        ("'registry.example.com:5000/python:3.11' # ours", False),
        (f"python:3.11@sha256:{'a' * 64}", True),
        (f"\n    name: python:3.11@sha256:{'a' * 64}", True),
    ],
)
def test_doctor_sees_an_image_that_can_be_moved(
    image: str, well: bool, bake: Bake, enter: Enter, tmp_path: Path
) -> None:
    project = shutil.copytree(bake().path, tmp_path / "project")
    file = project / ".gitlab/ci/setup.yml"
    text = file.read_text(encoding="utf-8")
    assert "  image: python:3.11\n" in text
    file.write_text(text.replace("image: python:3.11\n", f"image: {image}\n"), encoding="utf-8")
    enter("gitlab")
    (found,) = (symptom for symptom in run_checks(project, None) if symptom.name == "images")
    assert found.ok is well
    assert well or ".gitlab/ci/setup.yml: " in found.message
    assert well or ":3.11@sha256:…" in found.message
    enter("github")  # has no images, whatever lies beside its workflows
    assert "images" not in {symptom.name for symptom in run_checks(project, None)}


def test_runs_that_wait_for_what_is_old_are_ended(fake: Forge, enter: Enter) -> None:
    enter("github")
    fake.waiting = {
        ("deliver.yml", "main"): [0, 2],  # our own run is 1
        ("deliver.yml", "staging"): [-3],
        ("rollback.yml", "main"): [0],
    }
    here = current_forge()
    assert isinstance(here, GitHub)
    assert [address.rpartition("/")[2] for address in here.cancel_older("deliver.yml")] == ["0"]
    assert fake.ended == [0]


@pytest.mark.parametrize("kind", KINDS)
def test_doctor_says_that_a_repository_shows_it_nothing(
    kind: str, fake: Forge, enter: Enter
) -> None:
    enter(kind)
    fake.is_seen = False
    found = symptoms()
    assert "set DELIVERY_FORGE_TOKEN" in found["forge"].message
    assert [*found][-1] == "forge"
    assert found["prod subject"].ok


def test_doctor_asks_for_the_repository_s_address(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("GITHUB_ACTIONS", "GITLAB_CI"):
        monkeypatch.delenv(name, raising=False)
    assert symptoms()["forge"].message.startswith("not checked: set project.url")


def home_of(current_forge: Any) -> str:
    """Where the project is asked about."""
    return str(current_forge.api.home)


@pytest.mark.parametrize(
    ("url", "home"),
    [
        ("https://github.com/acme/lakehouse.git", "https://api.github.com/repos/acme/lakehouse"),
        ("https://gitlab.com/group/sub/lake",
         "https://gitlab.com/api/v4/projects/group%2Fsub%2Flake"),
    ],
)  # fmt: skip
def test_the_two_addresses_that_everybody_knows_name_their_forge(
    monkeypatch: pytest.MonkeyPatch, url: str, home: str
) -> None:
    on_a_laptop(monkeypatch)
    found = forge_of(of(url))
    assert home_of(found) == home


UNKNOWN = [
    "https://dev.azure.com/acme/lake/_git/lake",
    "https://bitbucket.org/acme/lake",
    "https://git.acme.example.com/acme/lake",
    "https://code.acme.example.com/acme/lake",
    "https://gitlab.acme.example.com/acme/lake",  # a name is no proof
    "https://github.com.example.com/acme/lake",
]


@pytest.mark.parametrize("url", UNKNOWN)
def test_an_unknown_forge_is_never_guessed(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    on_a_laptop(monkeypatch)
    assert forge_of(of(url)) is None
    policy = POLICY.model_copy(update={"project": of(url)})
    (symptom,) = _forge(Path(), policy)
    assert symptom.ok
    assert symptom.message == (
        f"not checked: the forge of {url} is unknown; "
        "set project.forge in delivery.yml to github or gitlab"
    )


@pytest.mark.parametrize("url", UNKNOWN)
def test_the_policy_says_which_forge_it_is(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    on_a_laptop(monkeypatch)
    host, _, path = url.removeprefix("https://").partition("/")
    gitlab, github = forge_of(of(url, "gitlab")), forge_of(of(url, "github"))
    assert home_of(gitlab) == f"https://{host}/api/v4/projects/{path.replace('/', '%2F')}"
    assert home_of(github) == f"https://{host}/api/v3/repos/{path}"


def test_a_job_s_own_surroundings_say_it_first(monkeypatch: pytest.MonkeyPatch) -> None:
    on_a_laptop(monkeypatch)
    monkeypatch.setenv("GITLAB_CI", "true")
    assert forge_kind(of("https://git.acme.example.com/a/b", "github")) == "gitlab"
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    assert forge_kind(of("https://gitlab.com/a/b", "gitlab")) == "github"


def on_a_laptop(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("GITHUB_ACTIONS", "GITLAB_CI"):
        monkeypatch.delenv(name, raising=False)


def of(url: str, current_forge: str = "both") -> ProjectInfo:
    return ProjectInfo.model_validate(
        {"name": "Demo", "compute": "serverless", "url": url, "forge": current_forge}
    )


@pytest.mark.parametrize("url", ["", "lakehouse", "https://github.com/acme"])
def test_an_address_of_no_repository_is_none(url: str) -> None:
    assert forge_of(of(url)) is None


@pytest.mark.parametrize(
    "text",
    ["::add-mask::x", "a\n  ::set-output name=APPROVAL::none", "why ##[add-mask]x", "\n::error::x"],
)
def test_nothing_in_a_log_is_a_command_to_github(
    text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("GITHUB_ACTIONS", raising=False)
    assert escape_workflow_commands(text) == text
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    for line in escape_workflow_commands(text).splitlines():
        assert not line.lstrip().startswith("::")
        assert "##[" not in line


def symptoms(root: Path = TEMPLATE) -> dict[str, HealthCheck]:
    return {symptom.name: symptom for symptom in _forge(root, POLICY)}
