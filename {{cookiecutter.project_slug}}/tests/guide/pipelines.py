"""Generates the tables of pipelines in docs/ from the pipeline files.

python tests/guide/pipelines.py    prints them; copy them into docs/<forge>/pipelines.md
"""

import copy
import itertools
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import yaml

HEADER = "| job | starts | does | identity | environment | may |"
RULE = "|---|---|---|---|---|---|"

Yaml = dict[Any, Any]


class Row(NamedTuple):
    """One job.

    Attributes:
        may: its permissions, besides reading the repository.
    """

    job: str
    starts: str
    does: str
    identity: str
    environment: str
    may: str


def table(rows: Sequence[Row]) -> list[str]:
    """The lines of the table in the guide."""
    return [HEADER, RULE, *(f"| {' | '.join(row)} |" for row in rows)]


# --- both forges ---


def _has_own_page(root: Path, file: str) -> bool:
    """Whether a how-to of the same name tells of a pipeline: then the tables leave it out."""
    return (root / "docs/how-to" / Path(file).with_suffix(".md").name).is_file()


_COMMAND = re.compile(r"(?:\.venv-tool/bin/)?(delivery|make) (.*)", re.DOTALL)
_GROUPS = ("preview", "forge")
_TARGETS = ("staging", "prod")


def _does(scripts: Sequence[str]) -> str:
    """The project's commands without their options; if there are none, the names of others."""
    found = [match for script in scripts if (match := _COMMAND.match(script.strip()))]
    commands = [_command(match[1], match[2].split()) for match in found]
    return ", ".join(
        f"`{one}`" for one in dict.fromkeys(commands or (s.split()[0] for s in scripts))
    )


def _command(program: str, words: Sequence[str]) -> str:
    shown = [*words[:1], *(words[1:2] if words[0] in _GROUPS else ())]
    return " ".join([program, *shown, *(word for word in words[1:2] if word in _TARGETS)])


def _of(place: str) -> str:
    """The target that an environment's name contains, in words."""
    target = place.removesuffix("-plan")
    return {"TARGET": "the chosen target", "each": "staging and prod"}.get(target, target)


def _identity(place: str, token: bool) -> str:
    """The identity of a job with an id token in this environment."""
    if not token:
        return "none"
    if place.startswith("preview"):
        return "previews"
    if place == "github-pages":
        return "none"
    return f"{'planner' if place.endswith('-plan') else 'deployer'} of {_of(place)}"


def _may(place: str, token: bool) -> list[str]:
    """The permissions of that identity."""
    if not token or place == "github-pages":
        return []
    if place.startswith("preview"):
        return ["change previews"]
    return [f"{'read' if place.endswith('-plan') else 'change'} {_of(place)}"]


# --- GitHub ---

# The meaning of conditions; the page explains `DELIVERY`. Other conditions are shown unchanged.
_LABEL = "contains(github.event.pull_request.labels.*.name, 'preview')"
_CONDITIONS = {
    "vars.DELIVERY == 'on'": "",
    "github.event.action != 'closed'": "",
    "github.event.pull_request.head.repo.full_name == github.repository": "from this repository",
    "github.event.pull_request.state == 'open'": "while it is open",
    _LABEL: "with the label `preview`",
    f"((github.event.action == 'closed' && {_LABEL}) || (github.event.action == 'unlabeled' "
    "&& github.event.label.name == 'preview'))": "when it closes or loses the label `preview`",
    "!cancelled()": "also after a failure",
    "needs.page.result == 'success'": "",
    "needs.release.result != 'failure'": "",
    "needs.fetch.result == 'success'": "",
    "(needs.rebuild.result == 'success' || needs.rebuild.result == 'skipped')": "",
    "needs.plan.result == 'success'": "",
    "needs.prod.result == 'success'": "",
    "inputs.built == ''": "if this run built no release",
    "inputs.command == 'adopt'": "for `adopt`",
    "inputs.command == 'block'": "for `block`",
    "inputs.target == 'staging'": "if the target is staging",
    "github.ref_name == 'main'": "if prod is deployed from `main`",
    "vars.STATUS_PAGES == 'on'": "if `STATUS_PAGES` is `on`",
    "(needs.plan.outputs.approval != 'dispatch' || inputs.digest != '')": (
        "with `approval: dispatch` only if the digest is given"
    ),
}
_STARTS = {
    "merge_group": "merge queue",
    "pull_request": "request",
    "workflow_dispatch": "on demand",
}
_STATUS = {"!cancelled()", "always()"}  # without one of them, all jobs before it must succeed
_RIGHTS = {
    "actions: read": "read runs and approvals",
    "actions: write": "cancel waiting runs",
    "issues: write": "write issues",
    "pages: write": "publish the status page",
    "pull-requests: write": "comment on the request",
}


def github(root: Path) -> list[Row]:
    """Every job of every workflow."""
    files = sorted((root / ".github/workflows").glob("*.yml"))
    files = [file for file in files if not _has_own_page(root, file.name)]
    known = {file.name: yaml.safe_load(file.read_text("utf-8")) for file in files}
    return [
        _github_row(known, file, name)
        for file, workflow in known.items()
        for name, job in workflow["jobs"].items()
        if "uses" not in job
    ]


def _github_row(known: Mapping[str, Yaml], file: str, name: str) -> Row:
    job = known[file]["jobs"][name]
    place, rights = _github_place(job), job.get("permissions", {})
    token = rights.get("id-token") == "write"
    permissions = [f"{right}: {level}" for right, level in rights.items()]
    more = [
        _RIGHTS.get(t, t) for t in permissions if t not in ("contents: read", "id-token: write")
    ]
    return Row(
        f"{file.removesuffix('.yml')} / {name}",
        _github_starts(known, file, name),
        _does([step["run"] for step in job["steps"] if "run" in step] or _actions(job)),
        _identity(place, token),
        f"`{_shown(place)}`" if place else "—",
        ", ".join([*_may(place, token), *more]) or "—",
    )


def _actions(job: Yaml) -> list[str]:
    """The action in the last step of a job without commands."""
    return [str(job["steps"][-1]["uses"]).partition("@")[0]]


def _github_place(job: Yaml) -> str:
    """The environment, with `TARGET` for a chosen target and `each` for every target."""
    given = job.get("environment", "")
    name = str(given["name"] if isinstance(given, dict) else given)
    name = re.sub(r"\$\{\{ inputs\.\w+ \}\}", "TARGET", name)
    return re.sub(r"\$\{\{ matrix\.\w+ \}\}", "each", name)


def _shown(place: str) -> str:
    targets = "` or `" if "TARGET" in place else "`, `"
    if "TARGET" in place or "each" in place:
        return targets.join(re.sub("TARGET|each", target, place) for target in _TARGETS)
    return place


def _github_starts(known: Mapping[str, Yaml], file: str, name: str) -> str:
    """The events that start the job, and its conditions."""
    events, conditions = list(_events(known, file)), []
    for condition in _conditions(known[file]["jobs"], name):
        event = re.fullmatch(r"github\.event_name == '(\w+)'", condition)
        branch = re.fullmatch(r"github\.ref_name == '(\w+)'", condition)
        if event:
            events = [(kind, words) for kind, words in events if kind == event[1]]
        elif branch:
            push = ("push", f"push to `{branch[1]}`")
            events = [push if kind == "push" else (kind, words) for kind, words in events]
        else:
            conditions.append(_CONDITIONS.get(condition, f"if `{condition}`"))
    if re.search(r"needs\.\w+\.result == 'success'", str(known[file]["jobs"][name].get("if", ""))):
        conditions = [words for words in conditions if words != _CONDITIONS["!cancelled()"]]
    after = _needs(known[file]["jobs"][name])
    order = [f"after `{'`, `'.join(after)}`"] if after else []
    words = ", ".join(words for _, words in events)
    return "; ".join([words, *dict.fromkeys(filter(None, conditions)), *order])


def _needs(job: Yaml) -> list[str]:
    given = job.get("needs", [])
    return [given] if isinstance(given, str) else [str(need) for need in given]


def _conditions(jobs: Mapping[str, Yaml], name: str) -> Iterator[str]:
    """The conditions of a job and of the jobs that it needs."""
    own = _conjuncts(str(jobs[name].get("if", "")))
    yield from own
    if not _STATUS & {*own}:
        for needed in _needs(jobs[name]):
            yield from (one for one in _conditions(jobs, needed) if one not in _STATUS)


def _events(known: Mapping[str, Yaml], file: str) -> Iterator[tuple[str, str]]:
    """The events that start a workflow, each with its description."""
    for kind, given in _triggers(known[file]).items():
        if kind == "push":
            yield kind, f"push to `{'`, `'.join((given or {}).get('branches', ['*']))}`"
        elif kind == "schedule":
            yield kind, f"every night (`{'`, `'.join(entry['cron'] for entry in given)}`)"
        elif kind == "workflow_call":
            callers = _callers(known, file)
            yield kind, f"in {', '.join(callers)}"
        else:
            yield (
                str(kind),
                _STARTS.get(kind, str(kind)),
            )


def _triggers(workflow: Yaml) -> Yaml:
    """The value of `on`, in each form that GitHub accepts; YAML 1.1 reads that key as true."""
    given = workflow.get(True, workflow.get("on"))
    names = [given] if isinstance(given, str) else given
    return names if isinstance(names, dict) else dict.fromkeys(names or ())


def _callers(known: Mapping[str, Yaml], file: str) -> list[str]:
    return [
        caller.removesuffix(".yml")
        for caller, workflow in known.items()
        if any(str(job.get("uses", "")).endswith(f"/{file}") for job in workflow["jobs"].values())
    ]


def _conjuncts(condition: str) -> list[str]:
    """The parts of a condition that must all be true."""
    text = " ".join(condition.split()).removeprefix("${{ ").removesuffix(" }}")
    parts, depth, start = [], 0, 0
    if re.search(r"\|\|", re.sub(r"\([^()]*\)", "", text)) and "&&" not in text:
        return [text]
    for at, sign in enumerate(text):
        depth += (sign == "(") - (sign == ")")
        if not depth and text.startswith("&&", at):
            parts.append(text[start:at].strip())
            start = at + 2
    return [part for part in [*parts, text[start:].strip()] if part]


# --- GitLab ---

_GLOBAL = {"default", "include", "stages", "variables", "workflow"}
_TOKEN = re.compile(r'\s*(&&|\|\||==|!=|=~|!~|\(|\)|\$\w+|"[^"]*"|/(?:[^/\\]|\\.)*/)')
_BRANCHES = ("main", "staging", "prod")
# Variables that an admin has set, and those that GitLab sets in an ordinary pipeline.
_SET = {
    "DELIVERY": "on",
    "STATUS_PAGES": "on",
    "DELIVERY_TELLS": "on",
    "DELIVERY_DOCTOR": "on",
    "CI_COMMIT_REF_PROTECTED": "true",
    "CI_MERGE_REQUEST_PROJECT_ID": "7",
    "CI_MERGE_REQUEST_SOURCE_PROJECT_ID": "7",
    "CI_MERGE_REQUEST_TARGET_BRANCH_PROTECTED": "true",
}
# Conditions besides the event: without them the job does not start.
_NEEDS = {
    "STATUS_PAGES": "if `STATUS_PAGES` is `on`",
    "DELIVERY_TELLS": "if `DELIVERY_TELLS` is `on`",
    "DELIVERY_DOCTOR": "if `DELIVERY_DOCTOR` is `on`",
    "CI_MERGE_REQUEST_SOURCE_PROJECT_ID": "from this project",
    "CI_MERGE_REQUEST_TARGET_BRANCH_PROTECTED": "into a protected branch",
}
# The purpose of environments that have a token of the forge and no identity.
_TOKENS = {
    "forge": "write with `DELIVERY_FORGE_TOKEN`",
    "doctor": "read settings with `DELIVERY_FORGE_TOKEN`",
}
_WAYS = {"manual": "manual job", "always": "also after a failure"}


def gitlab(root: Path) -> list[Row]:
    """Every job of the pipelines, in the order of their files."""
    document = yaml.safe_load((root / ".gitlab-ci.yml").read_text("utf-8"))
    merged: Yaml = {}
    for entry in document.pop("include"):
        if "rules" in entry or _has_own_page(root, entry["local"]):
            continue  # files that an admin may add choose runners; they do not change jobs
        _merge(merged, yaml.safe_load((root / entry["local"]).read_text("utf-8")))
    _merge(merged, document)
    names = [n for n in merged if n not in _GLOBAL and not n.startswith(".")]
    return [_gitlab_row(merged, name, _extended(name, merged)) for name in names]


def _gitlab_row(merged: Yaml, name: str, job: Yaml) -> Row:
    given = job.get("environment", {})
    place = str(given.get("name", "") if isinstance(given, dict) else given)
    place = re.sub(r"\$\{?TARGET\}?", "TARGET", place)
    place = re.sub(r"\$CI_MERGE_REQUEST_IID", "…", place)
    token = "id_tokens" in job
    starts = _gitlab_starts(merged, job)
    more = [_TOKENS[place]] if place in _TOKENS else []
    more += ["publish the status page"] if "pages" in job else []
    given = ({"job": n} if isinstance(n, str) else n for n in job.get("needs", []))
    needs = [need["job"] for need in given if not need.get("optional")]
    order = [f"after `{'`, `'.join(needs)}`"] if needs else []
    return Row(
        name,
        "; ".join([starts, *order]),
        _does([line for line in job["script"] if line != "make cli"]),
        _identity(place, token),
        f"`{_shown(place)}`" if place else "—",
        ", ".join([*_may(place, token), *more]) or "—",
    )


def _gitlab_starts(merged: Yaml, job: Yaml) -> str:
    """The events that start the job: each event and branch is tried, with all variables set."""
    started: dict[str, list[str]] = {}
    for event, branch, variables in _situations(merged):
        if _when(merged, job, variables):
            started.setdefault(event, []).append(branch)
    if not started:
        return "never with these branches"
    missing = [words for name, words in _NEEDS.items() if not _starts_without(merged, job, name)]
    ways = {str(rule.get("when", "")): "" for rule in job.get("rules", [])}
    how = [words for way, words in _WAYS.items() if way in ways]
    return "; ".join([", ".join(_events_of(started)), *missing, *how])


def _events_of(started: Mapping[str, list[str]]) -> Iterator[str]:
    """Events in words; those on demand are combined."""
    hands = []
    for words, branches in started.items():
        known = [*dict.fromkeys(filter(None, branches))]
        if words.startswith("on demand"):
            hands.append(words.removeprefix("on demand "))
        elif words.startswith("request"):
            yield words
        else:
            joint = "to" if words == "push" else "of"
            yield f"{words} {joint} `{'`, `'.join(known)}`"
    if hands:
        yield f"on demand: {', '.join(dict.fromkeys(hands))}"


def _situations(merged: Yaml) -> Iterator[tuple[str, str, dict[str, str]]]:
    """Every event: its description, branch and variables."""
    forms = merged["variables"]["PIPELINE"]["options"]
    yield "request", "", {**_SET, "CI_PIPELINE_SOURCE": "merge_request_event"}
    for source, branch in itertools.product(("push", "schedule"), _BRANCHES):
        variables = {"CI_PIPELINE_SOURCE": source, "CI_COMMIT_BRANCH": branch}
        yield source, branch, {**_SET, **variables}
    for form, branch, target in itertools.product(forms, _BRANCHES, _TARGETS):
        variables = {"CI_PIPELINE_SOURCE": "web", "CI_COMMIT_BRANCH": branch}
        variables |= {"PIPELINE": form, "TARGET": target}
        yield f"on demand `{form}`", branch, {**_SET, **variables}


def _when(merged: Yaml, job: Yaml, given: Mapping[str, str]) -> str:
    """How a job starts with these variables; empty if it does not."""
    defaults = {
        name: str(value["value"] if isinstance(value, dict) else value)
        for name, value in merged["variables"].items()
    }
    variables = {**defaults, **given}
    if not any(holds(rule["if"], variables) for rule in merged["workflow"]["rules"]):
        return ""
    for rule in job.get("rules", []):
        if holds(rule["if"], variables):
            return str(rule.get("when", "on_success"))
    return ""


def _starts_without(merged: Yaml, job: Yaml, name: str) -> bool:
    """Whether the job starts with this variable unset."""
    tried = ({**given, name: ""} for *_, given in _situations(merged))
    return any(_when(merged, job, given) for given in tried)


def _extended(name: str, jobs: Yaml) -> Yaml:
    job = copy.deepcopy(jobs[name])
    given = job.pop("extends", [])
    whole: Yaml = {}
    for parent in [given] if isinstance(given, str) else given:
        _merge(whole, _extended(parent, jobs))
    _merge(whole, job)
    return whole


def _merge(into: Yaml, other: Yaml) -> None:
    """Merge like GitLab: mappings are merged, other values are replaced."""
    for key, value in other.items():
        if isinstance(value, dict) and isinstance(into.get(key), dict):
            _merge(into[key], value)
        else:
            into[key] = copy.deepcopy(value)


def holds(condition: str, variables: Mapping[str, str]) -> bool:
    """Whether a condition of `rules` is true."""
    tokens, rest = [], condition.strip()
    while rest:
        found = _TOKEN.match(rest)
        if not found:
            raise ValueError(f"not understood: {rest!r} in {condition!r}")
        tokens.append(found[1])
        rest = rest[found.end() :].strip()
    return _any(tokens, variables)


def _any(tokens: list[str], variables: Mapping[str, str]) -> bool:
    value = _all(tokens, variables)
    while tokens and tokens[0] == "||":
        tokens.pop(0)
        value = _all(tokens, variables) or value
    return value


def _all(tokens: list[str], variables: Mapping[str, str]) -> bool:
    value = _one(tokens, variables)
    while tokens and tokens[0] == "&&":
        tokens.pop(0)
        value = _one(tokens, variables) and value
    return value


def _one(tokens: list[str], variables: Mapping[str, str]) -> bool:
    if tokens[0] == "(":
        tokens.pop(0)
        value = _any(tokens, variables)
        tokens.pop(0)
        return value
    left = _value(tokens.pop(0), variables)
    if not tokens or tokens[0] not in ("==", "!=", "=~", "!~"):
        return bool(left)
    operator, token = tokens.pop(0), tokens.pop(0)
    if operator in ("=~", "!~"):
        return (re.search(token[1:-1], left) is not None) == (operator == "=~")
    return (left == _value(token, variables)) == (operator == "==")


def _value(token: str, variables: Mapping[str, str]) -> str:
    return variables.get(token[1:], "") if token.startswith("$") else token[1:-1]


FORGES = {"github": github, "gitlab": gitlab}

if __name__ == "__main__":
    for build in FORGES.values():
        sys.stdout.write("\n".join([*table(build(Path.cwd())), "", ""]))
