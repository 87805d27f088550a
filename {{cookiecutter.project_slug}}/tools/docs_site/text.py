"""Texts of the project as Markdown."""

import html
import re
from collections.abc import Iterable, Sequence


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table; its cells are Markdown without line breaks. Empty if there are no rows."""
    lines = [" | ".join(cells) for cells in rows]
    if not lines:
        return ""
    return "\n".join(
        f"| {line} |" for line in [" | ".join(head), "|".join("---" for _ in head), *lines]
    )


def code(text: object) -> str:
    """A text as code, in a cell or elsewhere; nothing if it is empty."""
    return (
        f"<code>{html.escape(str(text)).replace('|', '&#124;')}</code>"
        if text not in ("", None)
        else ""
    )


def plain(text: object) -> str:
    """A text that is not Markdown, in one line."""
    return re.sub(r"([\\`*_\[\]|<>#~])", r"\\\1", re.sub(r"\s+", " ", str(text or "")))


def marked(text: object) -> str:
    """A text whose only Markdown is code between backticks, in one line."""
    parts = str(text or "").strip().split("`")
    return "".join(code(part) if number % 2 else plain(part) for number, part in enumerate(parts))
