"""When a task runs: `run_if`, the outcome of a condition, and the operators of `condition_task`."""

import operator
from collections.abc import Callable, Sequence
from decimal import Decimal, InvalidOperation
from enum import StrEnum


class State(StrEnum):
    """How a task ended."""

    SUCCESS = "success"
    FAILED = "failed"
    SKIPPED = "skipped"  # it did not run: it needs a workspace, or a task before it failed
    EXCLUDED = "excluded"  # a condition of the job left it out; to later tasks it is a success


_FAILED = {State.FAILED, State.SKIPPED}

# Each rule takes the states of the tasks before. Those before are never all excluded.
_RULES: dict[str, Callable[[Sequence[State]], bool]] = {
    "ALL_SUCCESS": lambda before: not _FAILED & {*before},
    "AT_LEAST_ONE_SUCCESS": lambda before: not {*before} <= _FAILED,
    "NONE_FAILED": lambda before: not _FAILED & {*before},
    "ALL_DONE": lambda before: True,  # noqa: ARG005 - every rule takes the states
    "AT_LEAST_ONE_FAILED": lambda before: bool(_FAILED & {*before}),
    "ALL_FAILED": lambda before: {*before} <= _FAILED,
}
RUN_IF = tuple(_RULES)
_HANDLES_FAILURES = ("AT_LEAST_ONE_FAILED", "ALL_FAILED")


def state_without_running(run_if: str, before: Sequence[State]) -> State | None:
    """The state of a task that `run_if` keeps from running; None if it runs.

    Args:
        before: the states of the tasks that it depends on.
    """
    if not before:
        return None
    if {*before} == {State.EXCLUDED}:
        return State.EXCLUDED
    if _RULES[run_if](before):
        return None
    return State.EXCLUDED if run_if in _HANDLES_FAILURES else State.SKIPPED


_TEXTS: dict[str, Callable[[str, str], bool]] = {"EQUAL_TO": operator.eq, "NOT_EQUAL": operator.ne}
_NUMBERS: dict[str, Callable[[Decimal, Decimal], bool]] = {
    "GREATER_THAN": operator.gt,
    "GREATER_THAN_OR_EQUAL": operator.ge,
    "LESS_THAN": operator.lt,
    "LESS_THAN_OR_EQUAL": operator.le,
}
OPERATORS = (*_TEXTS, *_NUMBERS)


def compare(op: str, left: str, right: str) -> bool:
    """The outcome of a `condition_task`.

    `EQUAL_TO` and `NOT_EQUAL` compare texts, so `12.0` and `12` differ; the others compare numbers.

    Raises:
        ValueError: an operand is not a number.
    """
    if op in _TEXTS:
        return _TEXTS[op](left, right)
    return _NUMBERS[op](_number("left", op, left), _number("right", op, right))


def _number(side: str, op: str, text: str) -> Decimal:
    try:
        return Decimal(text)
    except InvalidOperation:
        message = f"{side}: given {text!r}, expected a number for {op}, such as 12"
        raise ValueError(message) from None
