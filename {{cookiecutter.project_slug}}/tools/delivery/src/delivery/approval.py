"""Whether somebody approved what is about to happen; a forge that asks nobody does not count."""

import json
import os
import urllib.request
from typing import Any

from delivery.errors import DeliveryError, Exit
from delivery.plan import Plan
from delivery.policy import Policy


def check_approval(
    policy: Policy, target: str, plan: Plan | None, digest: str, approved_by: str
) -> None:
    """Hold a delivery to `approval` of the policy.

    Raises:
        DeliveryError: the target asks for an approval, and there is none.
    """
    mode = policy.approval_of(target)
    if mode == "dispatch" and not digest:
        raise _refused(target, mode, "the digest of the plan: --plan-digest …")
    if mode == "environment":
        if plan is None:
            raise _refused(target, mode, "the plan that was approved: --plan plan.json")
        if not _forge_asks(target) and not approved_by:
            raise _refused(target, mode, "who approved it: --approved-by ana")


def _forge_asks(target: str) -> bool:
    """Whether the forge let this job start only after somebody agreed.

    Raises:
        DeliveryError: the forge's environment has no reviewers, so nobody was asked.
    """
    if os.environ.get("GITHUB_ACTIONS") != "true":
        return False
    repository, api = os.environ["GITHUB_REPOSITORY"], os.environ["GITHUB_API_URL"]
    rules = _asked(f"{api}/repos/{repository}/environments/{target}").get("protection_rules", [])
    if not any(
        rule.get("type") == "required_reviewers" and rule.get("reviewers") for rule in rules
    ):
        raise DeliveryError(
            f"approval of {target}: its environment on GitHub has no required reviewers\n"
            f"    Settings, Environments, {target}, Required reviewers; or approval: dispatch in "
            "delivery.yml where the plan of GitHub has none.",
            Exit.REFUSED,
        )
    return True


def _asked(address: str) -> Any:
    headers = {"Authorization": f"Bearer {os.environ.get('GITHUB_TOKEN', '')}"}
    request = urllib.request.Request(address, headers=headers)  # noqa: S310
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310
            return json.load(answer)
    except (OSError, ValueError) as error:
        raise DeliveryError(f"approval: the forge cannot be asked: {error}", Exit.REFUSED) from None


def _refused(target: str, mode: str, expected: str) -> DeliveryError:
    return DeliveryError(
        f"approval of {target}: given none, expected {expected} (approval: {mode} in delivery.yml)",
        Exit.REFUSED,
    )
