"""The examples of resources in the guide, in a project, with the files that they name."""

from __future__ import annotations

import re
from pathlib import Path

PAGE = "docs/kinds.md"


def add_examples(project: Path) -> list[str]:
    """Write each example of the page to the file that it names; these files."""
    page = (project / PAGE).read_text(encoding="utf-8")
    blocks = re.findall(r"```yaml\n# (\S+)\n(.*?)```", page, re.DOTALL)
    for name, text in blocks:
        (project / name).write_text(text, encoding="utf-8")
        for named in re.findall(r"\.\./\.\./(\S+)", text):
            path = project / named
            folder = path.parent if path.suffix else path
            folder.mkdir(parents=True, exist_ok=True)
            if path.suffix:
                path.write_text(_CONTENTS.get(path.suffix, ""), encoding="utf-8")
            else:
                (path / "dbt_project.yml").write_text("name: models\n", encoding="utf-8")
    return [name for name, _ in blocks]


_CONTENTS = {".json": "{}", ".sql": "SELECT :catalog AS catalog, :schema AS schema\n"}
