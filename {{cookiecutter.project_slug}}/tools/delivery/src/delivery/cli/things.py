"""How the things that `delivery bootstrap` looks at are shown, and what they mean for its exit."""

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from delivery.bootstrap.thing import Step, Thing
from delivery.cli.output import progress
from delivery.errors import DeliveryError, Exit, FailedError

_SIGNS = {"present": "✓", "missing": "✗", "made": "+", "hidden": "?", "unavailable": "–"}


def examined(steps: Iterable[Step], is_applied: bool) -> list[Thing]:
    """Look at everything, or make everything that is missing, one after another.

    Raises:
        FailedError: a call fails.
    """
    things = []
    for step in steps:
        if not is_applied:
            things.append(step.examine())
            continue
        try:
            things.append(step.make())
        except FailedError as error:
            raise FailedError(
                f"{step.name}: {error}\n    What was made stays. Run the same command again: it "
                "goes on from there."
            ) from error
        if things[-1].state == "made":
            progress(f"made: {step.name}")
    return things


def require_one_way(apply_all: bool, commands: bool) -> None:
    """Refuse to make the calls and to print them at once.

    Raises:
        DeliveryError: both were asked for.
    """
    if apply_all and commands:
        raise DeliveryError("--commands: expected without --apply, which makes the calls itself")


def lines_of(thing: Thing) -> Iterator[str]:
    """A thing with the calls that make it."""
    yield f"{_SIGNS[thing.state]} {thing.name}: {thing.message}"
    for call in thing.calls if thing.state == "missing" else ():
        yield f"    {call.method} {call.service.host}{call.path}"
        if call.body:
            yield f"    {json.dumps(dict(call.body))}"
    for danger in thing.dangers:
        yield f"! {thing.name}: {danger}"


def summary_of(name: str, things: Sequence[Thing]) -> Iterator[str]:
    """How many are there, and how to make the others.

    Args:
        name: the argument of `delivery bootstrap`.
    """
    states = Counter(thing.state for thing in things)
    if states["made"]:
        yield f"{states['made']} of {len(things)} were made."
    if states["unavailable"]:
        yield f"{states['unavailable']} of {len(things)} this plan does not have."
    if not states["missing"] and not states["hidden"]:
        if not states["made"]:
            there = len(things) - states["unavailable"]
            yield f"nothing to do: all {there} are there."
        return
    for who, names in _by_whom(things).items():
        yield f"{', '.join(names)}: by {who}"
    if states["hidden"]:
        yield f"{states['hidden']} of {len(things)} this identity may not see or make."
    if states["missing"]:
        yield (
            f"{states['missing']} of {len(things)} are missing. To make them: delivery bootstrap "
            f"{name} --apply; as commands for an admin: --commands"
        )


def _by_whom(things: Sequence[Thing]) -> dict[str, list[str]]:
    """The things that are not there, by who may make them."""
    found: dict[str, list[str]] = {}
    for thing in things:
        if thing.state in ("missing", "hidden") and thing.call:
            found.setdefault(thing.call.by, []).append(thing.name)
    return found


def show_commands(things: Sequence[Thing]) -> None:
    """The calls that are missing, as lines of a shell, in their order."""
    missing = [thing for thing in things if thing.calls and thing.state in ("missing", "hidden")]
    if not missing:
        progress("nothing to do")
    if any(call.waits_for for thing in missing for call in thing.calls):
        print("# Replace <…> by what earlier commands print; or run this again after each of them.")
    for thing in missing:
        skip = "; not visible here: leave it out if it is there" if thing.state == "hidden" else ""
        print(f"# {thing.name}: {thing.calls[0].by}{skip}")
        for call in thing.calls:
            print(call.command)


def exit_code(things: Iterable[Thing]) -> Exit:
    """What the states of all things mean for the command."""
    states = {thing.state for thing in things}
    if "hidden" in states:
        return Exit.BAD_INPUT
    return Exit.FOUND if "missing" in states else Exit.DONE
