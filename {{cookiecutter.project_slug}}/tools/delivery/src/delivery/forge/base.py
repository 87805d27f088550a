"""The interface that GitHub and GitLab share, and calls of their REST APIs."""

import json
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from http.client import HTTPException
from itertools import count
from typing import Any, NamedTuple, Protocol

from delivery.errors import DeliveryError, FailedError, UnreachableError

PAGE_SIZE = 100  # entries of a page; the maximum of both forges
_LONGEST = 60_000  # characters of a text; both forges refuse slightly longer ones


class Subject(NamedTuple):
    """A subject of id tokens, and the claim that holds it."""

    value: str
    claim: str = "sub"

    def __str__(self) -> str:
        return self.value if self.claim == "sub" else f"{self.value} (subject_claim: {self.claim})"


class Forge(Protocol):
    """A repository on a forge.

    Attributes:
        has_token: whether this job has a token that can write comments and issues.
    """

    has_token: bool

    def requires_approval(self, environment: str) -> bool:
        """Whether a job of the environment starts only after an approval."""

    def approval_hint(self, environment: str) -> str:
        """The path through the forge's settings to the required reviewers."""

    def approvers(self, environment: str) -> list[str]:
        """The reviewers who approved this attempt of the job after its plan was made."""

    def reviews(self, environment: str) -> list[str]:
        """The reviewers who approved this run so far; empty if the forge has no reviews of runs."""

    def comment(self, about: str, text: str) -> str:
        """Create or update the request's comment about a subject; returns its address."""

    def issue(self, about: str, text: str) -> str:
        """Create or update the issue about a subject, or close it if `text` is empty.

        Returns:
            The issue's address; empty if there is none.
        """

    def can_read_settings(self) -> bool:
        """Whether the repository's settings are visible to this identity."""

    @property
    def oidc_issuer(self) -> str:
        """The issuer of the jobs' id tokens."""

    def oidc_subjects(self, environment: str, branch: str) -> list[Subject]:
        """The possible subjects of a job's id token; the federation policy must have the same."""


@dataclass(frozen=True)
class Api:
    """A REST API.

    Attributes:
        home: the common start of all addresses.
        headers: the credentials, and the accepted format.
    """

    home: str
    headers: Mapping[str, str]

    def call(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Any:
        """Send a request; returns the decoded JSON, or `{}` for an empty answer.

        Raises:
            UnreachableError: the forge does not answer.
            FailedError: the forge answers with an error, or not with JSON.
        """
        content = None if body is None else json.dumps(body).encode()
        headers = {**self.headers, "Content-Type": "application/json"}
        request = urllib.request.Request(  # noqa: S310 (the forge's own address)
            f"{self.home}{path}", content, headers, method=method
        )
        try:
            with urllib.request.urlopen(request, timeout=30) as response:  # noqa: S310
                return json.loads(response.read() or "{}")
        except urllib.error.HTTPError as error:
            raise ApiError(method, path, error) from None
        except (OSError, HTTPException) as error:
            raise UnreachableError(f"forge: {method} {path}: {error}") from None
        except ValueError as error:
            raise FailedError(f"forge: {method} {path}: {error}") from None

    def get_or_empty(self, path: str) -> Any:
        """The answer to a GET; `{}` if the path does not exist."""
        try:
            return self.call("GET", path)
        except ApiError as error:
            if error.status == 404:
                return {}
            raise

    def all(self, path: str) -> Iterator[Any]:
        """All entries of a list, page by page."""
        separator = "&" if "?" in path else "?"
        for page in count(1):
            entries = self.call("GET", f"{path}{separator}per_page={PAGE_SIZE}&page={page}")
            yield from entries
            if len(entries) < PAGE_SIZE:
                return


class ApiError(FailedError):
    """The forge answers with an HTTP error.

    Attributes:
        reason: what it says of it; empty if it says nothing.
    """

    def __init__(self, method: str, path: str, error: urllib.error.HTTPError) -> None:
        self.status, self.reason = error.code, _reason(error)
        said = f": {self.reason}" if self.reason else ""
        super().__init__(f"forge: {method} {path}: {error.code} {error.reason}{said}")


def _reason(error: urllib.error.HTTPError) -> str:
    """The message in the answer, such as `{"message": "404 Not Found"}`."""
    try:
        answer = json.loads(error.read() or "{}")
    except (OSError, HTTPException, ValueError):
        return ""
    found = answer.get("message") or answer.get("error") if isinstance(answer, dict) else ""
    return found if isinstance(found, str) else json.dumps(found)


@dataclass(frozen=True)
class Posts:
    """The comments of a request or the issues of a repository, at most one for each subject.

    Attributes:
        path: the list, such as `/issues`.
        entry: the path of one entry, such as `/issues/{number}`.
        update: the HTTP method that changes an entry.
        is_from_delivery: whether delivery wrote an entry: anybody can copy its mark.
        query: limits the list, such as `?state=open`.
    """

    api: Api
    path: str
    entry: str
    update: str
    is_from_delivery: Callable[[Mapping[str, Any]], bool]
    query: str = ""

    def save(self, about: str, body: Mapping[str, Any], *, create: bool = True) -> Any:
        """Update the entry about a subject, or create it.

        Returns:
            The entry; `{}` if it does not exist and `create` is false.
        """
        for known in self.api.all(f"{self.path}{self.query}"):
            text = str(known.get("body") or known.get("description") or "")
            if text.startswith(_mark(about)) and self.is_from_delivery(known):
                return self.api.call(self.update, self.entry.format(**known), body)
        return self.api.call("POST", self.path, body) if create else {}


def with_mark(about: str, text: str) -> str:
    """A text, shortened to the forge's limit, after the mark by which `Posts` finds it."""
    if len(text) > _LONGEST:
        text = f"{text[:_LONGEST]}\n```\n… the rest is in the job's log."
    return f"{_mark(about)}\n{text}"


def _mark(about: str) -> str:
    return f"<!-- delivery: {about} -->"


def no_request_error() -> DeliveryError:
    """The error of a comment outside of a pull or merge request."""
    return DeliveryError(
        "forge comment: expected a job of a pull or merge request; no other job has comments"
    )
