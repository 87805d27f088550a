"""What goes over the wire: requests, answers, errors, and the table of calls."""

import json
import re
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

if TYPE_CHECKING:
    from .identities import Identity

Json = dict[str, Any]

_ids = count(time.time_ns() // 1000)
_clock = threading.Lock()
_last_ms = 0


def next_id() -> int:
    """An id as the service makes them: larger than 2**32, below 2**53."""
    return next(_ids)


def now_ms() -> int:
    """Milliseconds since the epoch; two calls never answer the same."""
    global _last_ms
    with _clock:
        _last_ms = max(_last_ms + 1, time.time_ns() // 1_000_000)
        return _last_ms


class ApiError(Exception):
    """An error answer of the service."""

    def __init__(self, status: int, code: str, message: str, **headers: str) -> None:
        super().__init__(message)
        self.status, self.code, self.message = status, code, message
        self.headers = {name.replace("_", "-"): value for name, value in headers.items()}


def missing(message: str) -> ApiError:
    """404, as most of the service says it."""
    return ApiError(404, "RESOURCE_DOES_NOT_EXIST", message)


def denied(message: str) -> ApiError:
    """403, as most of the service says it."""
    return ApiError(403, "PERMISSION_DENIED", message)


def invalid(message: str) -> ApiError:
    """400, as most of the service says it."""
    return ApiError(400, "INVALID_PARAMETER_VALUE", message)


def exists(message: str) -> ApiError:
    """400 for something that is already there."""
    return ApiError(400, "RESOURCE_ALREADY_EXISTS", message)


@dataclass
class Answer:
    """An answer that is more than JSON with status 200."""

    body: object = field(default_factory=dict)
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    kind: str = "application/json"

    def encode(self) -> bytes:
        """The body as it is sent."""
        if isinstance(self.body, bytes):
            return self.body
        self.body = json.dumps(self.body).encode()
        return self.body


@dataclass
class Request:
    """One call: who asks for what."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes
    caller: "Identity"

    @property
    def json(self) -> Json:
        """The body, as the JSON object that it must be."""
        try:
            value = json.loads(self.body or b"{}")
        except ValueError:
            value = None
        if not isinstance(value, dict):
            raise ApiError(400, "MALFORMED_REQUEST", "The body is not a JSON object.")
        return value

    def form(self) -> dict[str, bytes]:
        """The fields of a form, of either kind."""
        kind = self.headers.get("content-type", "")
        if found := re.search(r'boundary="?([^";]+)', kind):
            return dict(_parts(self.body, found[1].encode()))
        return {name: values[-1].encode() for name, values in parse_qs(self.body.decode()).items()}


def _parts(body: bytes, boundary: bytes) -> list[tuple[str, bytes]]:
    fields = []
    for part in (b"\r\n" + body).split(b"\r\n--" + boundary)[1:]:
        head, found, content = part.partition(b"\r\n\r\n")
        name = re.search(rb'\bname="([^"]*)"', head)
        if found and name:
            fields.append((name[1].decode(), content))
    return fields


Handler = Callable[..., object]
_exact: dict[tuple[str, str], tuple[Handler, bool]] = {}
_patterns: list[tuple[str, re.Pattern[str], Handler, bool]] = []


def call(methods: str, template: str, *, public: bool = False) -> Callable[[Handler], Handler]:
    """Registers a function for a call; `{name}` is one path segment, `{name...}` the rest.

    Args:
        public: It is answered without a token.
    """

    def register(handler: Handler) -> Handler:
        for method in methods.split():
            if "{" in template or "\\" in template:
                _patterns.append((method, _compiled(template), handler, public))
            else:
                _exact[method, template] = (handler, public)
        return handler

    return register


def _compiled(template: str) -> re.Pattern[str]:
    template = re.sub(r"\{(\w+)\.\.\.\}", r"(?P<\1>.+)", template)
    return re.compile(re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", template))


def find(method: str, path: str) -> tuple[Handler, dict[str, str], bool] | None:
    """The function for a call, what its path names, and whether it needs no token."""
    if known := _exact.get((method, path)):
        return known[0], {}, known[1]
    for known_method, pattern, handler, public in _patterns:
        if known_method == method and (match := pattern.fullmatch(path)):
            return handler, match.groupdict(), public
    return None


def page(request: Request, name: str, rows: list[Json], size: int = 20) -> Json:
    """One page of a list, with a token for the next."""
    start = int(request.query.get("page_token") or 0)
    limit = int(request.query.get("limit") or request.query.get("max_results") or size) or size
    answer: Json = {name: rows[start : start + limit], "has_more": len(rows) > start + limit}
    if answer["has_more"]:
        answer["next_page_token"] = str(start + limit)
    return answer
