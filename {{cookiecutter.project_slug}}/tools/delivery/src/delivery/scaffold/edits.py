"""Edits of files that all domains share: single lines come and go, all else stays as it is."""

import re
from collections.abc import Callable
from typing import Any

import yaml

from delivery.config.policy_file import POLICY_FILE
from delivery.errors import DeliveryError
from delivery.scaffold.names import FOLDERS, PAGES

OWNERS, INDEX, IGNORED = "CODEOWNERS", "docs/README.md", ".gitignore"


# --- lines ---


def insert_line(text: str, after: int, line: str) -> str:
    """A text with one more line after its first `after` lines."""
    lines = text.split("\n")
    end = "\r" if lines[0].endswith("\r") else ""
    return "\n".join([*lines[:after], f"{line}{end}", *lines[after:]])


def append_line(text: str, line: str) -> str:
    """A text with one more line at its end; whether its last line ends is kept."""
    if not text:
        return f"{line}\n"
    lines = text.split("\n")
    return insert_line(text, len(lines) - (not lines[-1]), line)


def remove_lines(text: str, is_gone: Callable[[str], bool]) -> str:
    """A text without some of its lines."""
    return "\n".join(line for line in text.split("\n") if not is_gone(line))


# --- CODEOWNERS ---


def owners_of_all(text: str) -> str:
    """Who owns all files: the owners of the last line for `*`; empty if there is none."""
    found = re.findall(r"^\*[ \t]+([^#\r\n]*[^#\s])", text, re.MULTILINE)
    return found[-1] if found else ""


def add_owner(text: str, domain: str, owner: str) -> str:
    """The last of several lines wins, so it is the last one."""
    return append_line(text, f"{domain}/ {owner}")


def remove_owner(text: str, domain: str) -> str:
    """Remove the lines for the domain's folders."""
    folders = {domain, *(f"{folder}/{domain}" for folder in FOLDERS), f"{PAGES}/{domain}.md"}

    def is_gone(line: str) -> bool:
        pattern = next(iter(line.split()), "")
        return re.sub(r"^/?(?:\*\*/)?|/?(?:\*\*?)?$", "", pattern) in folders

    return remove_lines(text, is_gone)


# --- the index of the guide, and what git ignores ---


def add_page(text: str, domain: str) -> str:
    """A row for the domain's page: below those of other domains, or of the contracts."""
    row = f"| [domain {domain}](domains/{domain}.md) | What does the domain `{domain}` hold? |"
    lines = text.split("\n")
    for link in ("](domains/", "](contracts.md)"):
        found = [n for n, line in enumerate(lines, 1) if link in line and line.startswith("|")]
        if found:
            return insert_line(text, found[-1], row)
    return append_line(text, f"- [domain {domain}](domains/{domain}.md)")


def remove_page(text: str, domain: str) -> str:
    """Remove the lines that link to the domain's page."""
    return remove_lines(text, lambda line: f"](domains/{domain}.md)" in line)


def remove_ignored(text: str, domain: str) -> str:
    """Remove the patterns for files of the domain."""
    starts = tuple(f"/{folder}/{domain}/" for folder in FOLDERS)
    return remove_lines(text, lambda line: line.startswith(starts))


# --- delivery.yml ---

_EMPTY = re.compile(r"(\s*)jobs:(?: *\{ *\})?(\s*(?:#.*)?)$")
_ONE_LINE = re.compile(r"(\s*jobs: *\{)(.*?)(\}\s*(?:#.*)?)$")


def add_job(text: str, domain: str, job: str) -> str:
    """Add the job that verifies the domain's deploys.

    Raises:
        DeliveryError: the file has another form.
    """
    jobs = _jobs(text)
    if domain in jobs:
        raise DeliveryError(
            f"{POLICY_FILE}: verify.jobs.{domain}: given {jobs[domain]}, expected no entry for a "
            "new domain\n    Choose another name, or delete this line."
        )
    changed, at = text, _line_of_jobs(text)
    lines = text.split("\n")
    entries = _entries(lines, at) if at is not None else []
    if at is not None and (one_line := _ONE_LINE.match(lines[at])) and jobs:
        start, inner, end = one_line.groups()
        lines[at] = f"{start}{inner}, {domain}: {job}{end}"
        changed = "\n".join(lines)
    elif at is not None and not jobs and (empty := _EMPTY.match(lines[at])):
        lines[at] = f"{empty[1]}jobs:{empty[2]}"
        changed = insert_line("\n".join(lines), at + 1, f"{empty[1]}  {domain}: {job}")
    elif entries:
        indent = re.match(r"\s*", lines[entries[-1]])
        changed = insert_line(text, entries[-1] + 1, f"{indent and indent[0]}{domain}: {job}")
    return _with_jobs(text, changed, {**jobs, domain: job}, f"add {domain}: {job}")


def remove_job(text: str, domain: str) -> str:
    """Remove the job that verifies the domain's deploys.

    Raises:
        DeliveryError: the file has another form.
    """
    jobs, at = _jobs(text), _line_of_jobs(text)
    if domain not in jobs or at is None:
        return text
    lines, key = text.split("\n"), rf"['\"]?{domain}['\"]?\s*:"
    if one_line := _ONE_LINE.match(lines[at]):
        start, inner, end = one_line.groups()
        kept = [entry for entry in inner.split(",") if not re.match(rf"\s*{key}", entry)]
        lines[at] = f"{start}{','.join(kept)}{end}"
    else:
        gone = [n for n in _entries(lines, at) if re.match(rf"\s*{key}", lines[n])]
        lines = [line for n, line in enumerate(lines) if n not in gone]
        if len(jobs) == 1:
            lines[at] = re.sub(r"jobs:", "jobs: {}", lines[at], count=1)
    left = {name: job for name, job in jobs.items() if name != domain}
    return _with_jobs(text, "\n".join(lines), left, f"remove {domain}")


def _jobs(text: str) -> dict[str, Any]:
    document = _parsed(text)
    verify = document.get("verify") if isinstance(document, dict) else None
    jobs = verify.get("jobs") if isinstance(verify, dict) else None
    return dict(jobs) if isinstance(jobs, dict) else {}


def _line_of_jobs(text: str) -> int | None:
    """The index of the line `jobs:` in `verify`."""
    is_inside = False
    for number, line in enumerate(text.split("\n")):
        if re.match(r"[^\s#]", line):
            is_inside = line.startswith("verify:")
        elif is_inside and re.match(r"\s+jobs:", line):
            return number
    return None


def _entries(lines: list[str], at: int) -> list[int]:
    """The indexes of the lines below `jobs:` that have more indentation, without comments."""
    width = len(lines[at]) - len(lines[at].lstrip())
    found = []
    for number in range(at + 1, len(lines)):
        line = lines[number]
        if line.strip() and len(line) - len(line.lstrip()) <= width:
            break
        if line.strip() and not line.lstrip().startswith("#"):
            found.append(number)
    return found


def _with_jobs(text: str, changed: str, jobs: dict[str, Any], what: str) -> str:
    """The changed text, if it holds exactly the change."""
    before, after = _parsed(text), _parsed(changed)
    verify = before.get("verify") if isinstance(before, dict) else None
    if not isinstance(verify, dict) or after != {**before, "verify": {**verify, "jobs": jobs}}:
        raise DeliveryError(
            f"{POLICY_FILE}: verify.jobs: expected one entry a line, such as\n"
            "    verify:\n      jobs:\n        orders: orders_daily\n"
            f"    To {what} cannot be done in this file. Write it in that form."
        )
    return changed


def _parsed(text: str) -> Any:
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError:
        return None
