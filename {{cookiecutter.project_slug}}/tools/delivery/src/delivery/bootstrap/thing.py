"""One thing that a target or a forge needs: whether it is there, and the calls that make it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from delivery.bootstrap.call import Call
from delivery.errors import DeliveryError, NotVisibleError

State = Literal["present", "missing", "made", "hidden", "unavailable"]


class UnavailableError(DeliveryError):
    """The plan that is paid for does not have what a thing needs."""


@dataclass(frozen=True)
class Thing:
    """One thing, as it is now.

    Attributes:
        state: `hidden` if this identity may not read or make it; `unavailable` if the plan that is
            paid for does not have it, and something else protects.
        message: what is there, or what is missing.
        call: makes it if it is missing; None if no call can.
        dangers: what is there beyond it and is a danger.
        more: the calls after the first one, if one is not enough.
    """

    name: str
    state: State
    message: str
    call: Call | None = None
    dangers: tuple[str, ...] = ()
    more: tuple[Call, ...] = ()

    @property
    def calls(self) -> tuple[Call, ...]:
        """All calls that make it, in their order."""
        return (self.call, *self.more) if self.call else ()

    @property
    def can_be_made(self) -> bool:
        """Whether it is missing, and all of its calls are known."""
        waits = any(call.waits_for for call in self.calls)
        return self.state == "missing" and bool(self.calls) and not waits

    def as_json(self) -> dict[str, Any]:
        """The thing for machines."""
        call = self.call.as_json() if self.call else None
        plain = {"name": self.name, "state": self.state, "message": self.message}
        more = [one.as_json() for one in self.more]
        return {**plain, "call": call, "more": more, "dangers": list(self.dangers)}


@dataclass(frozen=True)
class Look:
    """What was found.

    Attributes:
        message: what is there, or what is missing.
        is_there: whether nothing is missing.
        instead: what protects where the plan that is paid for does not have it.
    """

    message: str
    is_there: bool
    call: Call | None = None
    dangers: tuple[str, ...] = ()
    more: tuple[Call, ...] = ()
    instead: str = ""

    def as_thing(self, name: str) -> Thing:
        """What was found, by the name of what was looked for."""
        if self.instead:
            message = f"{self.message}; instead: {self.instead}"
            return Thing(name, "unavailable", message, None, self.dangers)
        state: State = "present" if self.is_there else "missing"
        return Thing(name, state, self.message, self.call, self.dangers, self.more)


def _nothing_instead(reason: str) -> Look:
    return Look(reason, False)


@dataclass(frozen=True)
class Step:
    """How one thing is looked at.

    Attributes:
        look: reads it.
        blind: the calls that make it if nothing is there, built without reading anything.
        learn: takes ids from the answer to the call.
        lacking: what is found if the plan that is paid for does not have it, by the reason.
    """

    name: str
    look: Callable[[], Look]
    blind: Callable[[], Call | tuple[Call, ...] | None] = lambda: None
    learn: Callable[[dict[str, Any]], None] = lambda _: None
    lacking: Callable[[str], Look] = _nothing_instead

    def examine(self) -> Thing:
        """Look at the thing.

        Raises:
            FailedError: a call fails.
        """
        try:
            found = self.look()
        except NotVisibleError as error:
            given = self.blind() or ()
            calls = given if isinstance(given, tuple) else (given,)
            call = calls[0] if calls else None
            return Thing(self.name, "hidden", str(error), call, (), calls[1:])
        except UnavailableError as error:
            found = self.lacking(str(error))
        return found.as_thing(self.name)

    def make(self) -> Thing:
        """Look at the thing again, and make it if it is missing.

        Raises:
            FailedError: a call fails.
        """
        thing = self.examine()
        if not thing.can_be_made:
            return thing
        try:
            for call in thing.calls:
                self.learn(call.service.send(call))
        except NotVisibleError as error:
            message = f"needs {call.by}: {error}"
            return Thing(self.name, "hidden", message, call, thing.dangers)
        except UnavailableError as error:
            return self.lacking(str(error)).as_thing(self.name)
        message = f"made; before: {thing.message}"
        return Thing(self.name, "made", message, thing.call, thing.dangers, thing.more)
