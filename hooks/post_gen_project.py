"""Finish the generated project: options, identity, git. No network, no installs."""

import json
import os
import shutil
import subprocess
import uuid
from pathlib import Path

PROJECT = Path.cwd()
BY_HAND = 'git init -b main && git add -A && git commit -m "feat: start the lakehouse"'


def apply_options(options: Path, answers: dict[str, str]) -> None:
    """Copy the chosen variants into the project, and remove the features that were not chosen."""
    for variant in sorted(options.glob("*=*")):
        if variant.name in {f"{name}={value}" for name, value in answers.items()}:
            shutil.copytree(variant, PROJECT, dirs_exist_ok=True)
    for feature in json.loads((options / "features.json").read_text(encoding="utf-8")):
        if not all(answers[name] in values for name, values in feature["kept_when"].items()):
            for path in (PROJECT / path for path in feature["paths"]):
                shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
    shutil.rmtree(options)


def write_identity() -> None:
    """Give the project its unique, permanent identity."""
    comment = "# The unique identity of this project: created once, never copied."
    text = f'{comment}\nbundle:\n  uuid: "{uuid.uuid4()}"\n'
    (PROJECT / "targets/identity.yml").write_bytes(text.encode())


def git(*arguments: str) -> str:
    """Run git in the project, and return its output."""
    return subprocess.run(["git", *arguments], check=True, capture_output=True, text=True).stdout


def start_repository(answers: dict[str, str], shim: bytes) -> str:
    """Commit everything on `main`, create the other branches and the hooks; return the result."""
    if any((folder / ".git").exists() for folder in PROJECT.parents):
        return "It is inside another repository, so it has no repository of its own."
    for name in [name for name in os.environ if name.startswith("GIT_")]:
        del os.environ[name]  # they belong to another repository
    others = sorted({answers["__staging_branch"], answers["__prod_branch"]} - {"main"})
    try:
        git("init", "--quiet", "--template=", "--initial-branch=main")
        wire_hooks(shim)
        git("add", "--all")
        known = git("config", "--list", "--name-only").split()
        identity = {"user.name": answers["project_slug"], "user.email": answers["owner_email"]}
        settings = [f"{key}={value}" for key, value in identity.items() if key not in known]
        given = [
            part for setting in ["commit.gpgsign=false", *settings] for part in ("-c", setting)
        ]
        git(*given, "commit", "--quiet", "--no-verify", "--message=feat: start the lakehouse")
        for branch in others:
            git("branch", branch)
    except (OSError, subprocess.CalledProcessError) as error:
        reason = str(getattr(error, "stderr", None) or error).strip()
        return f"It has no first commit, because git failed: {reason}\nOnce git works: {BY_HAND}"
    return f"Its first commit is on {', '.join(['main', *others])}, and its git hooks are in place."


def wire_hooks(shim: bytes) -> None:
    """Enforce the conventions from the first commit on; `make setup` installs the real hooks."""
    for name in ("pre-commit", "commit-msg", "pre-push"):
        hook = PROJECT / ".git/hooks" / name
        hook.parent.mkdir(exist_ok=True)
        hook.write_bytes(shim)
        hook.chmod(0o755)


if __name__ == "__main__":
    ANSWERS = json.loads(r"""{{ cookiecutter | tojson }}""")
    SHIM = (PROJECT / "options/git-hook.sh").read_bytes()
    apply_options(PROJECT / "options", ANSWERS)
    write_identity()
    print(f"\nYour lakehouse is ready. {start_repository(ANSWERS, SHIM)}\n")
    print(f"  cd {PROJECT.name}\n  make run\n  make test\n")
