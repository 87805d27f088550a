"""Environment variables, read with a clear error if a value is not valid."""

import os
from urllib.parse import urlsplit

from delivery.errors import DeliveryError


def env_text(name: str, default: str = "") -> str:
    """A variable's value; an empty variable counts as not set."""
    return os.environ.get(name) or default


def env_number(name: str, default: int, least: int = 1) -> int:
    """A variable that holds a whole number.

    Raises:
        DeliveryError: the value is not a whole number, or is less than `least`.
    """
    given = env_text(name, str(default)).strip()
    if not (given.isascii() and given.isdecimal()) or int(given) < least:
        raise DeliveryError(
            f"{name}: given {given!r}, expected a whole number of at least {least}, such as "
            f"{default}\n    Correct it, or use the default: unset {name}"
        )
    return int(given)


def env_url(name: str) -> str:
    """A variable that holds a URL, without a trailing slash; empty if it is not set.

    Raises:
        DeliveryError: the value is not a URL.
    """
    given = env_text(name).strip()
    url = given if "://" in given or not given else f"https://{given}"
    try:
        parts = urlsplit(url)
        is_valid = not given or (parts.scheme in ("http", "https") and bool(parts.hostname))
        _ = parts.port  # raises ValueError for an invalid port
    except ValueError:
        is_valid = False
    if not is_valid:
        raise DeliveryError(
            f"{name}: given {given!r}, expected an address such as https://workspace.example.com"
        )
    return url.rstrip("/")


def env_required(name: str) -> str:
    """A variable that GitHub Actions or GitLab CI sets in every job.

    Raises:
        DeliveryError: it is not set.
    """
    given = env_text(name)
    if not given:
        raise DeliveryError(
            f"{name}: not set, expected GitHub Actions or GitLab CI to set it\n"
            "    Outside a pipeline: unset GITHUB_ACTIONS GITLAB_CI"
        )
    return given
