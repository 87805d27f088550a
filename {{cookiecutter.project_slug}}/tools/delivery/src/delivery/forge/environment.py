"""The environment variables and the output of pipeline jobs on GitHub and GitLab."""

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from delivery.environment import env_text
from delivery.files import append

if TYPE_CHECKING:  # the model of the policy takes a third of a second, and commits wait for it
    from delivery.config.policy import ProjectInfo
    from delivery.workspace.client import Workspace

FORGE_TOKEN = "DELIVERY_FORGE_TOKEN"  # noqa: S105 (the name of a variable)
APPROVED_BEFORE = "DELIVERY_APPROVED_BEFORE"  # reviewers of this run before its plan was made

_COMMAND = re.compile(r"^(\s*):(?=:)|#(?=#\[)", re.MULTILINE)
_LONGEST_SUMMARY, _END = 1_000_000, 16_000  # bytes; GitHub accepts 1 MiB for each step


def forge_kind(project: "ProjectInfo") -> str:
    """The forge of a repository, `github` or `gitlab`; empty if it is unknown.

    The job's environment comes first, then the policy, then the address if its host is github.com
    or gitlab.com: a forge is never guessed from another host's name.
    """
    for variable, kind in (("GITHUB_ACTIONS", "github"), ("GITLAB_CI", "gitlab")):
        if os.environ.get(variable) == "true":
            return kind
    if project.forge != "both":
        return project.forge
    host = urlsplit(project.url).hostname or ""
    return {"github.com": "github", "gitlab.com": "gitlab"}.get(host, "")


def actor(workspace: "Workspace") -> str:
    """The person who started the pipeline, else this identity.

    On GitHub a run keeps its first actor when somebody else restarts it.
    """
    first = env_text("GITHUB_ACTOR") or env_text("GITLAB_USER_LOGIN") or workspace.me
    again = env_text("GITHUB_TRIGGERING_ACTOR") or first
    return first if again == first else f"{first}, restarted by {again}"


def run_url() -> str:
    """The address of the pipeline's run; empty outside of a pipeline."""
    server, repository, run = (
        env_text(v) for v in ("GITHUB_SERVER_URL", "GITHUB_REPOSITORY", "GITHUB_RUN_ID")
    )
    if run:
        return f"{server}/{repository}/actions/runs/{run}"
    return env_text("CI_JOB_URL")


def pipeline_branch() -> str:
    """The branch of the pipeline, which checks out a commit; empty outside of a pipeline."""
    names = ("GITHUB_HEAD_REF", "CI_MERGE_REQUEST_SOURCE_BRANCH_NAME", "CI_COMMIT_BRANCH")
    return next((os.environ[name] for name in names if os.environ.get(name)), "")


def escape_workflow_commands(text: str) -> str:
    """Escape lines such as `::add-mask::`, which GitHub runs as commands if a job prints them."""
    if os.environ.get("GITHUB_ACTIONS") != "true":
        return text
    return _COMMAND.sub(lambda found: f"{found[0]}\N{WORD JOINER}", text)


def write_step_summary(markdown: str) -> None:
    """Add Markdown to the summary of a GitHub step; does nothing elsewhere.

    Raises:
        DeliveryError: the file in GITHUB_STEP_SUMMARY cannot be written.
    """
    file = env_text("GITHUB_STEP_SUMMARY")
    if file and markdown:
        append(Path(file), markdown)


def shorten_summary(text: str) -> str:
    """Omit the middle of a text that is too large for a summary: GitHub drops it otherwise."""
    if len(text.encode()) <= _LONGEST_SUMMARY:
        return text
    begin = text.encode()[: _LONGEST_SUMMARY - _END].decode(errors="ignore").rpartition("\n")[0]
    end = text[-_END // 4 :].partition("\n")[2]
    omitted = len(text.splitlines()) - len(begin.splitlines()) - len(end.splitlines())
    return f"{begin}\n… {omitted} lines are omitted here: the full text is in the job's log\n{end}"
