"""What goes wrong on purpose."""

import re
import threading
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus

from .wire import ApiError

Kind = int | str | Callable[[], None]
KINDS = ("reset", "hang", "lost")


class Cut(Exception):  # noqa: N818 (not an error, a way to answer)
    """The connection ends without an answer."""


@dataclass
class Fault:
    """One thing that goes wrong, for the nth to the (nth + times - 1)th call that matches."""

    method: str
    pattern: re.Pattern[str]
    kind: Kind
    nth: int = 1
    times: int = 1
    seconds: float = 5.0
    retry_after: int = 0
    seen: int = 0
    fired: int = 0

    def due(self, method: str, target: str) -> bool:
        """Counts a call; says whether it is hit."""
        if self.method not in ("*", method) or not self.pattern.search(target):
            return False
        self.seen += 1
        hit = self.nth <= self.seen < self.nth + self.times
        self.fired += hit
        return hit


class Faults:
    """All faults of a workspace."""

    def __init__(self) -> None:
        self._all: list[Fault] = []
        self._lock = threading.Lock()
        self._closing = threading.Event()

    def add(self, fault: Fault) -> Fault:
        """Adds one.

        Raises:
            ValueError: There is no such kind.
        """
        if isinstance(fault.kind, str) and fault.kind not in KINDS:
            raise ValueError(f"{fault.kind!r} is none of {KINDS}")
        with self._lock:
            self._all.append(fault)
        return fault

    def clear(self) -> None:
        """Ends them all."""
        with self._lock:
            self._all.clear()

    def before(self, method: str, target: str) -> bool:
        """What comes before a call is done; true when its answer gets lost.

        Raises:
            ApiError: A status is due.
            Cut: The connection ends.
        """
        with self._lock:
            due = [fault for fault in self._all if fault.due(method, target)]
        for fault in due:
            self._strike(fault)
        return any(fault.kind == "lost" for fault in due)

    def _strike(self, fault: Fault) -> None:
        if isinstance(fault.kind, int):
            raise _error(fault.kind, fault.retry_after)
        if fault.kind == "hang":
            self._closing.wait(fault.seconds)
        if fault.kind in ("reset", "hang"):
            raise Cut
        if callable(fault.kind):
            fault.kind()

    def close(self) -> None:
        """Wakes up what hangs."""
        self._closing.set()


def _error(status: int, retry_after: int) -> ApiError:
    codes = {429: "REQUEST_LIMIT_EXCEEDED", 503: "TEMPORARILY_UNAVAILABLE", 500: "INTERNAL_ERROR"}
    code = codes.get(status, "FAULT")
    message = f"{HTTPStatus(status).phrase} (a fault of the emulated workspace)"
    headers = {"Retry_After": str(retry_after)} if status in (429, 503) else {}
    return ApiError(status, code, message, **headers)
