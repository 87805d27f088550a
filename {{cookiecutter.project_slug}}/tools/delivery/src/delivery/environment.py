"""Variables of the environment, read with a clear answer where one is not what it should be."""

import os
from urllib.parse import urlsplit

from delivery.errors import DeliveryError


def text(name: str, default: str = "") -> str:
    """A variable; what is set to nothing counts as not set."""
    return os.environ.get(name) or default


def number(name: str, default: int, least: int = 1) -> int:
    """A variable that is a whole number.

    Raises:
        DeliveryError: it is none, or too small.
    """
    given = text(name, str(default)).strip()
    if not (given.isascii() and given.isdecimal()) or int(given) < least:
        raise DeliveryError(
            f"{name}: given {given!r}, expected a whole number of at least {least}, such as "
            f"{default}\n    Set it so, or leave it out: unset {name}"
        )
    return int(given)


def address(name: str) -> str:
    """A variable that is an address, without a slash at its end; empty when it is not set.

    Raises:
        DeliveryError: it is none.
    """
    given = text(name).strip()
    whole = given if "://" in given or not given else f"https://{given}"
    try:
        parts = urlsplit(whole)
        well = not given or (parts.scheme in ("http", "https") and bool(parts.hostname))
        _ = parts.port
    except ValueError:
        well = False
    if not well:
        raise DeliveryError(
            f"{name}: given {given!r}, expected an address such as https://workspace.example.com"
        )
    return whole.rstrip("/")


def required(name: str) -> str:
    """A variable that a pipeline sets by itself.

    Raises:
        DeliveryError: it is not set.
    """
    given = text(name)
    if not given:
        raise DeliveryError(
            f"{name}: not set, expected it in a job of GitHub Actions or GitLab CI\n    Outside of "
            "one leave out GITHUB_ACTIONS and GITLAB_CI: unset GITHUB_ACTIONS GITLAB_CI"
        )
    return given
