"""One thing that a target needs: whether it is there, and the call that makes it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from delivery.bootstrap.service import Call
from delivery.errors import NotVisibleError

State = Literal["present", "missing", "made", "hidden"]


@dataclass(frozen=True)
class Thing:
    """One thing, as it is now.

    Attributes:
        state: `hidden` if this identity may not read or make it.
        message: what is there, or what is missing.
        call: makes it if it is missing; None if no call can.
        dangers: what is there beyond it and is a danger.
    """

    name: str
    state: State
    message: str
    call: Call | None = None
    dangers: tuple[str, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """The thing for machines."""
        call = self.call.as_json() if self.call else None
        plain = {"name": self.name, "state": self.state, "message": self.message}
        return {**plain, "call": call, "dangers": list(self.dangers)}


@dataclass(frozen=True)
class Look:
    """What was found.

    Attributes:
        message: what is there, or what is missing.
        is_there: whether nothing is missing.
    """

    message: str
    is_there: bool
    call: Call | None = None
    dangers: tuple[str, ...] = ()


@dataclass(frozen=True)
class Step:
    """How one thing is looked at.

    Attributes:
        look: reads it.
        blind: the call that makes it if nothing is there, built without reading anything.
        learn: takes ids from the answer to the call.
    """

    name: str
    look: Callable[[], Look]
    blind: Callable[[], Call | None] = lambda: None
    learn: Callable[[dict[str, Any]], None] = lambda _: None

    def examine(self) -> Thing:
        """Look at the thing.

        Raises:
            FailedError: a call fails.
        """
        try:
            found = self.look()
        except NotVisibleError as error:
            return Thing(self.name, "hidden", str(error), self.blind())
        state: State = "present" if found.is_there else "missing"
        return Thing(self.name, state, found.message, found.call, found.dangers)

    def make(self) -> Thing:
        """Look at the thing again, and make it if it is missing.

        Raises:
            FailedError: a call fails.
        """
        thing = self.examine()
        if thing.state != "missing" or not thing.call or thing.call.waits_for:
            return thing
        try:
            self.learn(thing.call.service.send(thing.call))
        except NotVisibleError as error:
            message = f"needs {thing.call.by}: {error}"
            return Thing(self.name, "hidden", message, thing.call, thing.dangers)
        message = f"made; before: {thing.message}"
        return Thing(self.name, "made", message, thing.call, thing.dangers)
