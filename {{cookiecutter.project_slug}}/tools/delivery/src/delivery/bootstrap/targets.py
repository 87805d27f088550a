"""What each target of the bundle needs."""

from collections.abc import Iterator
from pathlib import Path

from delivery.bootstrap.environments import audience_of, environments_of
from delivery.bootstrap.needs import Needs, Principal, Trust
from delivery.bootstrap.service import Service, connect_both
from delivery.checks.placeholder import is_placeholder
from delivery.config.bundle import load_bundle
from delivery.config.policy import Policy, load_policy
from delivery.config.references import value_of
from delivery.config.target import (
    PREVIEW_TARGET,
    UNKNOWN_RELEASE,
    Target,
    read_target,
    require_configured_host,
)
from delivery.errors import DeliveryError, NotVisibleError
from delivery.forge.base import Forge
from delivery.forge.detect import current_forge, forge_of
from delivery.forge.environment import FORGE_TOKEN
from delivery.forge.github import GitHub

_DEV = "dev"
_USE, _CREATE, _READ, _MANAGE = "USE_CATALOG", "CREATE_SCHEMA", "CAN_READ", "CAN_MANAGE"
_ME = "/api/2.0/preview/scim/v2/Me"
_UNKNOWN_ID = "<workspace id>"


def connect_needs(
    root: Path, name: str, account_id: str = "", developers: str = "", storage_root: str = ""
) -> Needs:
    """What a target needs, read with the identity of the environment.

    Raises:
        DeliveryError: the target needs nothing of this kind, its host is not set or is not a
            workspace's, or there are no credentials for it.
    """
    policy = load_policy(root)
    known = (*policy.released, PREVIEW_TARGET, _DEV)
    if name not in known:
        raise DeliveryError(f"target: given {name!r}, expected one of {', '.join(known)}")
    if name == _DEV and not developers:
        raise DeliveryError(
            "--developers: given nothing, expected the group that may create schemas in the "
            "catalog of dev, such as data-engineers"
        )
    target = require_configured_host(read_target(root, name, UNKNOWN_RELEASE))
    if is_placeholder(target.host):
        raise DeliveryError(f"workspace.host: not set in targets/{name}.yml")
    workspace, account = connect_both(target.host, account_id)
    needs = needs_of(root, target, workspace, account, developers)
    needs.storage_root = storage_root
    needs.trusts = [*_trusts(target, policy, needs)]
    return needs


def needs_of(
    root: Path,
    target: Target,
    workspace: Service,
    account: Service,
    developers: str = "",
) -> Needs:
    """What a target needs, in its workspace and account, without its federation policies."""
    bundle = load_bundle(root)
    try:
        number = workspace.header(_ME, "X-Databricks-Org-Id") or _UNKNOWN_ID
    except NotVisibleError as error:
        raise DeliveryError(f"credentials for {target.host}: {error}") from None
    catalog = value_of(bundle, target.name, "catalog")
    needs = Needs(workspace, account, number, catalog)
    if target.name == _DEV:
        needs.grants = [("developers", developers, (_USE, _CREATE))]
    elif target.name == PREVIEW_TARGET:
        _add_previews(needs, target)
    else:
        _add_released(needs, target, value_of(bundle, target.name, "readers"))
    return needs


def _add_released(needs: Needs, target: Target, readers: str) -> None:
    deployer, runner, planner = needs.principals = [
        Principal(
            role,
            f"{target.bundle}-{target.name}-{role}",
            "" if is_placeholder(given) else given,
        )
        for role, given in target.identities._asdict().items()
    ]
    needs.users = [(deployer, runner)]
    needs.grants = [
        ("deployer", deployer, (_USE, _CREATE)),
        ("runner", runner, (_USE,)),
        ("planner", planner, (_USE,)),
        ("readers", readers, (_USE,)),
    ]
    needs.folder = target.root
    needs.levels = [(deployer, _MANAGE), (runner, _READ), (planner, _READ)]


def _add_previews(needs: Needs, target: Target) -> None:
    previews = Principal("previews", f"{target.bundle}-previews")
    needs.principals = [previews]
    needs.users = [(previews, previews)]  # its jobs run as itself
    needs.grants = [("previews", previews, (_USE, _CREATE))]
    needs.folder = target.root.rpartition("/")[0]
    needs.levels = [(previews, _MANAGE)]


def _trusts(target: Target, policy: Policy, needs: Needs) -> Iterator[Trust]:
    """The jobs that may act as each principal; none act as the runner."""
    forge = current_forge() or forge_of(policy.project)
    problem = _problem(forge)
    branch = policy.branches.targets.get(target.name, policy.branches.integration)
    environments = environments_of(target.name)
    for one in (one for one in needs.principals if one.role in environments):
        environment = environments[one.role]
        audience = audience_of(target.bundle, environment)
        if forge is None or problem:
            yield Trust(environment, one, "", (), audience, problem)
        else:
            subjects = forge.oidc_subjects(environment, branch)
            yield Trust(environment, one, forge.oidc_issuer, subjects, audience)


def _problem(forge: Forge | None) -> str:
    """Why the subjects of id tokens are not known; empty if they are."""
    if forge is None:
        return "the repository is not known: set project.url and project.forge in delivery.yml"
    # A subject of GitHub may have ids in it, which only the repository tells.
    if isinstance(forge, GitHub) and not forge.can_read_settings():
        return (
            f"the subject is not known: set {FORGE_TOKEN} to a token that may read the repository"
        )
    return ""
