"""Make the generated files the chosen project: options, identity, git. No network, no installs."""

import json
import os
import shutil
import subprocess
import uuid
from pathlib import Path

PROJECT = Path.cwd()
BY_HAND = 'git init -b main && git add -A && git commit -m "feat: start the lakehouse"'


def apply_options(options: Path, answers: dict[str, str]) -> None:
    """Lay the chosen variants over the project, and remove what was not chosen."""
    for variant in sorted(options.glob("*=*")):
        if variant.name in {f"{name}={value}" for name, value in answers.items()}:
            shutil.copytree(variant, PROJECT, dirs_exist_ok=True)
    for feature in json.loads((options / "features.json").read_text(encoding="utf-8")):
        if not all(answers[name] in values for name, values in feature["kept_when"].items()):
            for path in (PROJECT / path for path in feature["paths"]):
                shutil.rmtree(path) if path.is_dir() else path.unlink()
    shutil.rmtree(options)


def write_identity() -> None:
    """Give the project the identity that tells it from every other one, for good."""
    comment = "# What tells this project from every other: made once, never copied."
    text = f'{comment}\nbundle:\n  uuid: "{uuid.uuid4()}"\n'
    (PROJECT / "targets/identity.yml").write_bytes(text.encode())


def git(*arguments: str) -> str:
    """Run git here, and return what it says."""
    return subprocess.run(["git", *arguments], check=True, capture_output=True, text=True).stdout


def start_repository(answers: dict[str, str], shim: bytes) -> str:
    """Commit everything on `main`, make the other branches, wire the hooks; say how it went."""
    if any((folder / ".git").exists() for folder in PROJECT.parents):
        return "It lies inside another repository, so it has none of its own."
    for name in [name for name in os.environ if name.startswith("GIT_")]:
        del os.environ[name]  # they speak of another repository
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
        return f"It has no first commit yet, because git said: {reason}\nWhen git works: {BY_HAND}"
    return f"Its first commit is on {', '.join(['main', *others])}, and its hooks are wired."


def wire_hooks(shim: bytes) -> None:
    """Let conventions hold from the first commit on: `make setup` brings the real hooks."""
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
