"""Choose the forge of the current job, or that of a repository."""

import os
from urllib.parse import urlsplit

from delivery.config.policy import ProjectInfo
from delivery.environment import env_required, env_text
from delivery.forge.base import Forge
from delivery.forge.environment import FORGE_TOKEN, forge_kind
from delivery.forge.github import GitHub
from delivery.forge.gitlab import GitLab


def current_forge() -> Forge | None:
    """The forge that runs this job; None outside of a pipeline."""
    if os.environ.get("GITHUB_ACTIONS") == "true":
        home, name = env_required("GITHUB_API_URL"), env_required("GITHUB_REPOSITORY")
        return GitHub(home, name, os.environ.get("GITHUB_TOKEN", ""))
    if os.environ.get("GITLAB_CI") == "true":
        home, path = env_required("CI_API_V4_URL"), env_required("CI_PROJECT_PATH")
        return GitLab(home, path, os.environ.get(FORGE_TOKEN, ""))
    return None


def forge_of(project: ProjectInfo) -> Forge | None:
    """The forge of the project's repository; None if its address or its forge is unknown."""
    address = urlsplit(project.url.removesuffix(".git"))
    path, kind, token = address.path.strip("/"), forge_kind(project), env_text(FORGE_TOKEN)
    if not address.hostname or "/" not in path or not kind:
        return None
    if kind == "gitlab":
        return GitLab(f"https://{address.netloc}/api/v4", path, token)
    is_public = address.hostname == "github.com"
    home = "https://api.github.com" if is_public else f"https://{address.netloc}/api/v3"
    return GitHub(home, path, token)
