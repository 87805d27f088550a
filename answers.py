"""Validate the answers before anything is written, and never run them as templates.

Cookiecutter loads this as a Jinja extension. The filter `checked`, used by the last variable of
`cookiecutter.json`, rejects all bad answers at once; it never corrects or escapes them.
"""

from __future__ import annotations

import re
import unicodedata
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from cookiecutter.exceptions import FailedHookException
from jinja2.ext import Extension

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from jinja2 import Environment

_HERE = Path(__file__).resolve().parent
_MARKUP = re.compile(r"\{[{%#]")

_SLUG = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
_EMAIL = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]*@([A-Za-z0-9-]+\.)+[A-Za-z]{2,}")
_HOST = re.compile(r"https://([a-z0-9]([a-z0-9-]*[a-z0-9])?\.)+[a-z]{2,}")
_LONGEST = {"project_name": 80, "project_slug": 40, "owner_email": 100, "host": 200}

# Windows reserves these names for devices: no folder can have them.
_DEVICES = {"con", "prn", "aux", "nul"} | {
    f"{port}{n}" for port in ("com", "lpt") for n in range(10)
}

# The generated files send tokens to these hosts, so only the cloud's own domains are allowed.
_DOMAINS = {
    "aws": (".cloud.databricks.com", ".cloud.databricks.us", ".cloud.databricks.mil"),
    "azure": (".azuredatabricks.net", ".databricks.azure.us", ".databricks.azure.cn"),
    "gcp": (".gcp.databricks.com",),
}
_HOST_EXAMPLES = {
    "aws": "https://dbc-a1b2c3d4-e5f6.cloud.databricks.com",
    "azure": "https://adb-1234567890123456.7.azuredatabricks.net",
    "gcp": "https://1234567890123456.7.gcp.databricks.com",
}


class Problem(NamedTuple):
    """The problem with one answer."""

    answer: str
    given: str
    expected: str
    example: str

    def __str__(self) -> str:
        return (
            f"  {self.answer}: given {self.given!r}\n"
            f"    expected {self.expected}\n"
            f"    example  {self.example}"
        )


class Answers(Extension):
    """Adds the filter `checked` to Jinja, and prevents answers from being run as templates."""

    def __init__(self, environment: Environment) -> None:
        super().__init__(environment)
        environment.filters["checked"] = checked

    def preprocess(self, source: str, name: str | None, filename: str | None = None) -> str:
        """Render only this repository's own text as a template; turn any other text into a literal.

        Cookiecutter renders the answers of its command line: without this, `{{ 7 * 7 }}` would
        become 49 and `{{ 1 / 0 }}` a traceback.
        """
        if name is None and _MARKUP.search(source) and source not in _own_templates():
            return "{{ " + ascii(source) + " }}"
        return source


def checked(answers: Mapping[str, str]) -> str:
    """Return an empty string if all answers are valid.

    Raises:
        FailedHookException: some are invalid; the message lists each of them.
    """
    found = list(problems(answers))
    if found:
        count = "1 answer" if len(found) == 1 else f"{len(found)} answers"
        listed = "\n".join(map(str, found))
        raise FailedHookException(f"{count} cannot be used; nothing was written.\n{listed}")
    return ""


def problems(answers: Mapping[str, str]) -> Iterator[Problem]:
    """All problems with the answers, in the order of the questions."""
    for answer, validate in _VALIDATORS.items():
        if problem := validate(answer, str(answers[answer]), str(answers["cloud"])):
            yield problem


def _name(answer: str, given: str, cloud: str) -> Problem | None:
    fine = given.strip() == given and 0 < len(given) <= _LONGEST[answer] and _is_plain(given)
    expected = (
        f'1 to {_LONGEST[answer]} printed characters on one line, without " \\ ` < > or braces'
        " that open a template, and no space at either end"
    )
    return None if fine else Problem(answer, given, expected, "Acme Lakehouse")


def _slug(answer: str, given: str, cloud: str) -> Problem | None:
    fine = len(given) <= _LONGEST[answer] and _SLUG.fullmatch(given) and given not in _DEVICES
    expected = (
        f"1 to {_LONGEST[answer]} lowercase letters, digits and single hyphens, first a letter,"
        " and not a device name of Windows"
    )
    return None if fine else Problem(answer, given, expected, "acme-lakehouse")


def _email(answer: str, given: str, cloud: str) -> Problem | None:
    fine = len(given) <= _LONGEST[answer] and _EMAIL.fullmatch(given)
    expected = f"one e-mail address of up to {_LONGEST[answer]} characters"
    return None if fine else Problem(answer, given, expected, "data-team@example.com")


def _host(answer: str, given: str, cloud: str) -> Problem | None:
    fine = (
        len(given) <= _LONGEST["host"]
        and _HOST.fullmatch(given)
        and given.endswith(_DOMAINS[cloud])
    )
    endings = " or ".join(_DOMAINS[cloud])
    expected = f"https:// and a host that ends in {endings}, with no port or path"
    return None if fine else Problem(answer, given, expected, _HOST_EXAMPLES[cloud])


def _is_plain(text: str) -> bool:
    """Whether the text is valid between double quotes in YAML and in a line of Markdown."""
    printed = all(
        unicodedata.category(character)[0] not in "CZ" or character == " " for character in text
    )
    return printed and not set(text) & set('"\\`<>') and not _MARKUP.search(text)


@cache
def _own_templates() -> frozenset[str]:
    """All text of this repository that cookiecutter may render, besides the template's files."""
    hooks = [hook.read_text(encoding="utf-8") for hook in (_HERE / "hooks").glob("*.py")]
    folders = [folder.name for folder in _HERE.iterdir() if "cookiecutter." in folder.name]
    return frozenset([*hooks, *folders, *_declared()])


def _declared() -> Iterator[str]:
    import json

    document = json.loads((_HERE / "cookiecutter.json").read_text(encoding="utf-8"))
    yield from (value for value in document.values() if isinstance(value, str))


_VALIDATORS: dict[str, Callable[[str, str, str], Problem | None]] = {
    "project_name": _name,
    "project_slug": _slug,
    "owner_email": _email,
    "dev_host": _host,
    "staging_host": _host,
    "prod_host": _host,
}
