"""Write the digest of the delivery tool's files, which `delivery check` compares them with."""

import sys
from pathlib import Path

HOME = Path(__file__).parents[1] / "{{cookiecutter.project_slug}}" / "tools/delivery"
sys.path.insert(0, str(HOME / "src"))
sys.dont_write_bytecode = True

from delivery.checks.tool import DIGEST_FILE, digest_of  # noqa: E402

if __name__ == "__main__":
    (HOME / DIGEST_FILE).write_text(f"{digest_of(HOME)}\n", encoding="utf-8")
