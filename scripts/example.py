"""Publish a generated project as the branch `example` of `origin`, to be looked at.

The branch gets a commit only if the project differs. Its workflows are in another folder,
`.github/workflows.example`, so that none runs there: the token of a workflow may not push any.
"""

import base64
import os
import re
import subprocess
import sys
import tempfile
import uuid
from pathlib import Path

ROOT = Path(__file__).parents[1]
BRANCH = "example"
_WHO = {"NAME": "example", "EMAIL": "example@example.com"}


def main() -> None:
    """Generate the project, and push its files if they differ."""
    with tempfile.TemporaryDirectory() as folder:
        tree = _tree(_generated(Path(folder)))
    tip = _git("ls-remote", "origin", f"refs/heads/{BRANCH}").partition("\t")[0]
    if tip:
        _git("fetch", "--quiet", "--depth=1", "origin", f"refs/heads/{BRANCH}")
        if _git("rev-parse", f"{tip}^{{tree}}") == tree:
            print("example: as before")
            return
    parents = ["-p", tip] if tip else []
    message = f"docs: the example of {_git('rev-parse', '--short=12', 'HEAD')}"
    commit = _git("commit-tree", *parents, "-m", message, tree)
    _git("push", "--quiet", "origin", f"{commit}:refs/heads/{BRANCH}")
    print(f"example: {commit[:12]}")


def _generated(folder: Path) -> Path:
    """A project with the default answers, and always the same identity."""
    template, out = folder / "template", folder / "out"
    template.mkdir()
    archive = subprocess.run(["git", "archive", "HEAD"], cwd=ROOT, check=True, capture_output=True)
    subprocess.run(["tar", "xf", "-"], cwd=template, input=archive.stdout, check=True)
    command = [sys.executable, "-m", "cookiecutter", str(template), "--no-input", "-o", str(out)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    (project,) = out.iterdir()
    file = project / "targets/identity.yml"
    identity = uuid.uuid5(uuid.NAMESPACE_DNS, "example.com")
    text = re.sub('uuid: ".*"', f'uuid: "{identity}"', file.read_text(encoding="utf-8"))
    file.write_text(text, encoding="utf-8")
    (project / ".github/workflows").rename(project / ".github/workflows.example")
    return project


def _tree(project: Path) -> str:
    """The files of a project as a tree of this repository."""
    subprocess.run(["git", "add", "--all"], cwd=project, check=True)
    tree = _git("write-tree", cwd=project)
    _git("-c", "core.hooksPath=/dev/null", "commit", "--quiet", "-m", "the example", cwd=project)
    _git("fetch", "--quiet", str(project), "HEAD")
    return tree


def _git(*arguments: str, cwd: Path = ROOT) -> str:
    who = {
        f"GIT_{role}_{key}": text for role in ("AUTHOR", "COMMITTER") for key, text in _WHO.items()
    }
    command = ["git", *arguments]
    environment = {**os.environ, **who, **_signed_in()}
    done = subprocess.run(
        command, cwd=cwd, env=environment, check=True, stdout=subprocess.PIPE, text=True
    )
    return done.stdout.strip()


def _signed_in() -> dict[str, str]:
    """Access of git to the server in a workflow, whose checkout keeps no credentials."""
    token = os.environ.get("GITHUB_TOKEN")
    if not token:
        return {}
    secret = base64.b64encode(f"x-access-token:{token}".encode()).decode()
    return {
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": f"http.{os.environ['GITHUB_SERVER_URL']}/.extraheader",
        "GIT_CONFIG_VALUE_0": f"AUTHORIZATION: basic {secret}",
    }


if __name__ == "__main__":
    main()
