"""The table of commands: where each is, and its line in `delivery --help`."""

import importlib
from typing import Any, NamedTuple


class Entry(NamedTuple):
    """One command: its module and function, and its help line."""

    place: str
    help: str


# A command is imported when it is called. `delivery --help` needs only this table; a test compares
# each line with the help of its command.
COMMANDS = {
    "check": Entry("check:check_command", "Check the project against its rules, offline."),
    "run": Entry("run:run_command", "Run a job on this machine, as its YAML declares it."),
    "graph": Entry(
        "graph:graph_command",
        "Show the tasks of a job, their order and conditions, and what a local run leaves out.",
    ),
    "release": Entry(
        "release:release_command",
        "Build the release of the checked-out commit: the same bytes on every machine.",
    ),
    "fetch": Entry(
        "fetch:fetch_command",
        "Download a release that a target verified, with its receipt, to deploy it to the next "
        "one.",
    ),
    "rebuild": Entry(
        "rebuild:rebuild_command",
        "Rebuild, from git, a release that another target verified, and compare the digests.",
    ),
    "plan": Entry(
        "plan:plan_command",
        "Show what a release would change on a target. Nothing is changed.",
    ),
    "deploy": Entry(
        "deploy:deploy_command",
        "Deploy a release and verify it; roll back automatically if either fails.",
    ),
    "rollback": Entry(
        "rollback:rollback_command",
        "Roll back to an earlier release. Newer resources that hold data are retained.",
    ),
    "status": Entry(
        "status:status_command",
        "Show the running release of each target, its health, its jobs, and delivery metrics.",
    ),
    "history": Entry("history:history_command", "Show the events of a target, the newest first."),
    "drift": Entry(
        "drift:drift_command",
        "Show every change outside delivery, and the YAML that keeps it in the project.",
    ),
    "diff": Entry(
        "diff:diff_command",
        "Show the differences between two rendered targets, or two releases; offline.",
    ),
    "doctor": Entry(
        "doctor:doctor_command",
        "Check the set-up: CLI, lock, targets, forge and workspace; show how to fix what is "
        "missing.",
    ),
    "bootstrap": Entry(
        "bootstrap:bootstrap_command",
        "Show what a target or its forge needs before the first delivery, and make it.",
    ),
    "block": Entry(
        "block:block_command",
        "Block a release on a target, or every release that a rollback on another target abandons.",
    ),
    "unblock": Entry("block:unblock_command", "Allow a blocked release to be deployed again."),
    "break-lock": Entry(
        "break_lock:break_lock_command",
        "Break a stale lock, left by an interrupted run. Its deploy counts as failed.",
    ),
    "prune": Entry(
        "prune:prune_command",
        "Remove old releases; keep the running one and the newest verified ones.",
    ),
    "adopt": Entry(
        "adopt:adopt_command",
        "Adopt a resource that an interrupted deploy left, another key owns, or a person created.",
    ),
    "new": Entry(
        "new:new", "Create a domain with its code, data, resources and tests, or a part of one."
    ),
    "remove": Entry("remove:removals", "Remove a domain with its files and lines."),
    "preview": Entry("preview:previews", "Preview environments of pull and merge requests."),
    "forge": Entry("forge:forges", "Comments and issues on GitHub and GitLab."),
}


def load(name: str) -> Any:
    """Import a command: its function, or the app of its subcommands."""
    module, _, attribute = COMMANDS[name].place.partition(":")
    return getattr(importlib.import_module(f"delivery.cli.{module}"), attribute)
