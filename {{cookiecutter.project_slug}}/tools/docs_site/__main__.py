"""Build the site: `make docs`. It is build/docs/site, of the pages in build/docs/pages."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml
from delivery.config.policy import load_policy
from delivery.errors import DeliveryError

from docs_site import conventions, data, reference
from docs_site.diagram import with_diagrams

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
BUILD = ROOT / "build/docs"
# Outside docs/, and at the same places, so that links hold.
_OTHERS = ("README.md", "CONTRIBUTING.md")


def main() -> None:
    """Collect the pages, and let Zensical make the site; a broken link is an error."""
    shutil.rmtree(BUILD, ignore_errors=True)
    made = {**reference.pages(ROOT), **conventions.pages(ROOT), **data.pages(ROOT)}
    _collect(made)
    settings: dict[str, Any] = yaml.safe_load((HERE / "mkdocs.yml").read_text(encoding="utf-8"))
    settings["site_name"] = settings["site_name"] or load_policy(ROOT).project.name
    settings |= {"docs_dir": "pages", "site_dir": "site", "nav": [*_navigation(made)]}
    (BUILD / "mkdocs.yml").write_text(yaml.safe_dump(settings, sort_keys=False), encoding="utf-8")
    _build()
    pages = len([*(BUILD / "site").rglob("*.html")])
    print(f"docs: {pages} pages in build/docs/site; begin with build/docs/site/index.html")


def _build() -> None:
    """Run Zensical, and show each of its findings in one line."""
    done = subprocess.run(
        [Path(sys.executable).with_name("zensical"), "build", "--strict", "--clean"],
        cwd=BUILD,
        check=False,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    if done.returncode:
        told = re.sub(r"\x1b\[[\d;]*m", "", done.stdout)
        found = re.findall(r"Warning: (.+)\n.*\[ (.+?:\d+):\d+ \]", told)
        sys.exit("\n".join(f"{place}: {what}" for what, place in found) or told)


def _collect(made: reference.Pages) -> None:
    """Write all pages, with their diagrams drawn, and copy what else is in docs/."""
    pages = BUILD / "pages"
    for source in [*(ROOT / name for name in _OTHERS), *(ROOT / "docs").rglob("*")]:
        goal = pages / source.relative_to(ROOT)
        goal.parent.mkdir(parents=True, exist_ok=True)
        if source.suffix == ".md":
            goal.write_text(_page(source.read_text(encoding="utf-8")), encoding="utf-8")
        elif source.is_file():
            shutil.copy(source, goal)
    for path, (_, text) in made.items():
        goal = pages / path
        goal.parent.mkdir(parents=True, exist_ok=True)
        goal.write_text(_page(text), encoding="utf-8")
    for name in ("style.css", "reach.js"):
        shutil.copy(HERE / name, pages)


def _page(text: str) -> str:
    """A page with drawn diagrams, and with code blocks that name a language only."""
    return with_diagrams(re.sub(r"^( *```\w+) .*$", r"\1", text, flags=re.MULTILINE))


def _navigation(made: reference.Pages) -> Iterator[dict[str, Any]]:
    """The sections of docs/README.md, with the pages that their tables link to, and the others."""
    index = (ROOT / "docs/README.md").read_text(encoding="utf-8")
    yield {"Start": [{"the project": "README.md"}, {"the guide": "docs/README.md"}]}
    for section in re.split(r"^## ", index, flags=re.MULTILINE)[1:]:
        title = section.partition("\n")[0].strip()
        links = re.findall(r"^\| \[(.+?)\]\((.+?)\)", section, re.MULTILINE)
        entries = [{text: os.path.normpath(f"docs/{link}")} for text, link in links]
        if title == "Reference":
            entries += [{text: path} for path, (text, _) in made.items() if "/reference/" in path]
        yield {title: entries}
    yield {"Data": [{text: path} for path, (text, _) in made.items() if "/data/" in path]}


if __name__ == "__main__":
    os.chdir(ROOT)
    try:
        main()
    except DeliveryError as error:
        sys.exit(str(error))
