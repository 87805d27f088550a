"""`schedule`: cron expressions and time zones, which only the API refuses."""

import re
from collections.abc import Iterator
from functools import cache
from zoneinfo import ZoneInfo, available_timezones

from delivery.checks.registry import CheckContext, rule
from delivery.config.yaml import Mark
from delivery.errors import Finding

RULE = "schedule"
_CRON = ("quartz_cron_expression", "quartz_cron_schedule")
_FIELDS = {
    "seconds": (0, 59),
    "minutes": (0, 59),
    "hours": (0, 23),
    "days of month": (1, 31),
    "months": (1, 12),
    "days of week": (1, 7),
    "years": (1970, 2099),
}
_QUARTZ = "https://www.quartz-scheduler.org/documentation/quartz-2.3.0/tutorials/crontrigger.html"
_ZONES = "https://docs.databricks.com/aws/en/jobs/scheduled"


@rule(RULE, scope="target")
def check_schedule(context: CheckContext, target: str) -> Iterator[Finding]:
    """Cron expressions of another form than Quartz has, and time zones that do not exist."""
    for key, text, mark in context.targets[target].texts:
        if key not in (*_CRON, "timezone_id") or any(part in text for part in ("<", "${", "{{")):
            continue
        if key in _CRON:
            yield from _cron(key, text, mark)
        elif key == "timezone_id" and not _is_zone(text):
            message = f"timezone_id: given {text}, expected a name such as Europe/Berlin or UTC"
            yield Finding(*mark, RULE, message, f"The names: {_ZONES}", "warning")


def _cron(key: str, text: str, mark: Mark) -> Iterator[Finding]:
    fields = text.split()
    if len(fields) not in (6, 7):
        message = (
            f"{key}: given {text!r} with {len(fields)} fields, expected 6 or 7: seconds, minutes, "
            "hours, day of month, month, day of week, year"
        )
    elif "?" not in (fields[3], fields[5]) or fields[3] == fields[5]:
        message = f"{key}: given {text!r}, expected ? for the day of month or the day of week"
    elif wrong := next(
        (n for n, part in zip(_FIELDS, fields, strict=False) if not _fits(n, part)), ""
    ):
        message = f"{key}: given {text!r}, whose {wrong} are out of range"
    else:
        return
    yield Finding(*mark, RULE, message, f"{key}: {_quartz(fields)!r}; see {_QUARTZ}", "warning")


def _fits(name: str, part: str) -> bool:
    """Whether the numbers of a field, and its steps, are in its range; words are left alone."""
    numbers = [int(digits) for digits in re.findall(r"\d+", part)]
    first, last = _FIELDS[name]
    return all(first <= number <= last for number in numbers)


def _quartz(fields: list[str]) -> str:
    """The expression in the form of Quartz, if it has that of Unix; otherwise an example."""
    if len(fields) in (6, 7):
        open_ = 3 if fields[3] == "*" and fields[5] != "*" else 5
        return " ".join([*fields[:open_], "?", *fields[open_ + 1 :]])
    if len(fields) != 5:
        return "0 0 6 * * ?"
    minute, hour, day, month, weekday = fields
    if day == "*" and weekday != "*":
        return f"0 {minute} {hour} ? {month} {weekday}"
    return f"0 {minute} {hour} {day} {month} ?"


@cache
def _is_zone(name: str) -> bool:
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        return not available_timezones()  # this machine has no list of time zones
    return True
