"""The API of a forge as a service that things are read from and made with."""

import json
import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count
from typing import Any
from urllib.parse import urlsplit

from delivery.bootstrap.call import Call
from delivery.bootstrap.thing import UnavailableError
from delivery.errors import NotVisibleError
from delivery.forge.base import PAGE_SIZE, Api, ApiError

# Hosts that `gh` and `glab` use without being told.
_KNOWN = {"api.github.com": "", "gitlab.com": ""}
# GitHub refuses what a plan does not have: 403 "Upgrade to GitHub Pro or make this repository
# public to enable this feature." for rulesets, 422 "… Please ensure the billing plan supports the
# required reviewers protection rule." for environments (docs.github.com/rest/repos/rules,
# github.com/backstage/backstage/issues/28977).
_PLAN = re.compile(r"upgrade to github|billing plan", re.IGNORECASE)
_LIMIT = re.compile(r"rate limit", re.IGNORECASE)


@dataclass(frozen=True)
class ForgeService:
    """The API of a forge, used with one identity.

    Attributes:
        program: the forge's own command line, `gh` or `glab`.
    """

    api: Api
    program: str

    @property
    def host(self) -> str:
        """The start of all its addresses."""
        return self.api.home

    def get(self, path: str) -> Any:
        """The answer to a GET; None if the object does not exist.

        Raises:
            NotVisibleError: this identity may not read it.
            UnavailableError: the plan that is paid for does not have it.
            FailedError: the call fails.
        """
        try:
            return self.api.call("GET", path)
        except ApiError as error:
            if error.status == 404:
                return None
            raise _translated(error) from None

    def pages(self, path: str, key: str = "") -> Iterator[Any]:
        """The entries of all pages of a list, or of the list below `key`; none if there is none.

        Raises:
            NotVisibleError: this identity may not read it.
            UnavailableError: the plan that is paid for does not have it.
            FailedError: a call fails.
        """
        separator = "&" if "?" in path else "?"
        for page in count(1):
            found = self.get(f"{path}{separator}per_page={PAGE_SIZE}&page={page}") or ()
            entries = found.get(key, ()) if key and found else found
            yield from entries
            if len(entries) < PAGE_SIZE:
                return

    def send(self, call: Call) -> dict[str, Any]:
        """Make a call.

        Raises:
            NotVisibleError: this identity may not make it.
            UnavailableError: the plan that is paid for does not have it.
            FailedError: the call fails.
        """
        try:
            answer = self.api.call(call.method, call.path, dict(call.body) or None)
        except ApiError as error:
            # Both forges answer 404 if a token may not know that something exists.
            if error.status == 404:
                raise NotVisibleError(str(error)) from None
            raise _translated(error) from None
        return answer if isinstance(answer, dict) else {}

    def command_of(self, call: Call) -> str:
        """A call as a line of a shell, by the forge's own command line."""
        name = urlsplit(self.host).netloc
        host = [] if name in _KNOWN else ["--hostname", name]
        content = ["--header", "Content-Type: application/json", "--input", "-"]
        words = [
            *(self.program, "api", *host, "--method", call.method),
            *(content if call.body else ()),
            call.path.lstrip("/"),
        ]
        body = f"printf %s {shlex.quote(json.dumps(call.body))} | " if call.body else ""
        return f"{body}{shlex.join(words)}"


def _translated(error: ApiError) -> Exception:
    """The error as what it means for a thing."""
    if error.status in (403, 422) and _PLAN.search(error.reason):
        return UnavailableError(error.reason)
    if error.status in (401, 403) and not _LIMIT.search(error.reason):
        return NotVisibleError(str(error))
    return error
