"""The settings of the project's forge: which forge, which repository, and with which token."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Protocol
from urllib.parse import urlsplit

from delivery.bootstrap.forge_service import ForgeService
from delivery.bootstrap.github import GitHubSettings
from delivery.bootstrap.gitlab import GitLabSettings
from delivery.bootstrap.thing import Step
from delivery.bootstrap.wanted import wanted_of
from delivery.checks.identity import origin_of
from delivery.config.policy import Policy
from delivery.errors import DeliveryError
from delivery.forge.base import Forge
from delivery.forge.detect import current_forge, forge_of
from delivery.forge.environment import FORGE_TOKEN
from delivery.forge.github import GitHub
from delivery.forge.gitlab import GitLab

FORGES = ("github", "gitlab")
_PUBLIC = ("github.com", "gitlab.com")


class Settings(Protocol):
    """What a repository on a forge needs."""

    def steps(self) -> Iterator[Step]:
        """Everything that it needs, in the order in which it is made."""


def connect_settings(
    root: Path, policy: Policy, kind: str, previews: str = "", approvers: Sequence[str] = ()
) -> Settings:
    """The settings of the project's repository, read with the token of the environment.

    Raises:
        DeliveryError: the repository is not known, is on another forge, or is not visible.
    """
    project = policy.project
    named = project.model_copy(update={"forge": kind}) if project.forge == "both" else project
    running = current_forge()
    forge = running or forge_of(named)
    if forge is None:
        raise DeliveryError(
            f"project.url: given {project.url!r}, expected the address of the repository, such as "
            f"https://{kind}.com/team/lakehouse\n    Set it in delivery.yml."
        )
    if kind_of(forge) != kind:
        raise DeliveryError(
            f"bootstrap {kind}: given a repository on {kind_of(forge)}, expected one on {kind}\n"
            f"    Run: delivery bootstrap {kind_of(forge)}. Or correct project.forge in "
            "delivery.yml."
        )
    if running is None:
        _require_own_host(root, project.url)
    return settings_of(root, policy, forge, previews, approvers)


def _require_own_host(root: Path, url: str) -> None:
    """Refuse to send an admin's token to a host that only a file of the project names.

    Raises:
        DeliveryError: it is neither github.com nor gitlab.com, nor where the repository is.
    """
    host = urlsplit(url).hostname or ""
    origin, _ = origin_of(root) or ("none", "")
    if host not in (*_PUBLIC, origin):
        raise DeliveryError(
            f"project.url: given {url}, expected the host of the git remote origin: {origin}\n"
            "    Your token is an admin's, so it is sent to no other host. Set the remote: git "
            f"remote add origin {url}"
        )


def settings_of(
    root: Path, policy: Policy, forge: Forge, previews: str = "", approvers: Sequence[str] = ()
) -> Settings:
    """The settings of a repository.

    Raises:
        DeliveryError: it is not visible to this token, or a file of the project is malformed.
    """
    wanted = wanted_of(root, policy, previews, approvers)
    if isinstance(forge, GitHub):
        service = ForgeService(forge.root, "gh")
        repository = service.get(f"/repos/{forge.name}")
        if repository is None:
            raise _not_visible(forge.name)
        return GitHubSettings(service, forge.name, wanted, repository)
    if isinstance(forge, GitLab):
        service = ForgeService(forge.root, "glab")
        project = forge.api.get_or_empty("")
        if not project:
            raise _not_visible(forge.path)
        return GitLabSettings(service, forge.path, wanted, project)
    raise DeliveryError(f"forge: given {forge}, expected one of {', '.join(FORGES)}")


def kind_of(forge: Forge) -> str:
    """The name of a forge, as `delivery bootstrap` takes it."""
    return "github" if isinstance(forge, GitHub) else "gitlab"


def _not_visible(name: str) -> DeliveryError:
    return DeliveryError(
        f"{name}: given a token that may not see it, or a repository that does not exist\n"
        f"    Create the repository, and set {FORGE_TOKEN} to a token of an admin of it."
    )
