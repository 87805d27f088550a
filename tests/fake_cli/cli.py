"""The command line."""

import argparse
import json
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NoReturn

from fake_cli import VERSION, deploy, programs, show
from fake_cli.api import Json
from fake_cli.config import Settings, read
from fake_cli.errors import CommandError, say
from fake_cli.plan import Planner, counts, load_plan
from fake_cli.session import Session, connect


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise CommandError(message.replace("unrecognized arguments:", "unknown flag:"))


def main(arguments: Sequence[str]) -> int:
    """Run one command; the exit code."""
    try:
        options = _parser().parse_args(arguments)
        options.run(options)
    except CommandError as error:
        error.tell()
        return 1
    except FileNotFoundError as error:
        say(f"Error: open {error.filename}: no such file or directory\n")
        return 1
    return 0


def _parser() -> _Parser:
    parser = _Parser(prog="databricks", allow_abbrev=False)
    parser.add_argument("--version", action="version", version=f"Databricks CLI v{VERSION}")
    top = parser.add_subparsers(required=True)
    _command(top, "version", _version)
    bundle = top.add_parser("bundle", allow_abbrev=False).add_subparsers(required=True)
    _command(bundle, "validate", _validate, "--strict")
    _command(bundle, "plan", _plan, "--force")
    changing = ("--auto-approve", "--force-lock")
    _command(bundle, "deploy", _deploy, *changing, "--force").add_argument("--plan")
    _command(bundle, "summary", _summary, "--force-pull")
    _command(bundle, "destroy", _destroy, *changing)
    held = bundle.add_parser("deployment", allow_abbrev=False).add_subparsers(required=True)
    bind = _command(held, "bind", _bind, *changing)
    bind.add_argument("key")
    bind.add_argument("id")
    _command(held, "unbind", _unbind, "--force-lock").add_argument("key")
    return parser


def _command(
    commands: Any, name: str, run: Callable[[argparse.Namespace], None], *flags: str
) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = commands.add_parser(name, allow_abbrev=False)
    parser.set_defaults(run=run)
    parser.add_argument("-t", "--target")
    parser.add_argument("-o", "--output", choices=["text", "json"], default="text")
    parser.add_argument("--var", action="append", default=[])
    for flag in flags:
        parser.add_argument(flag, action="store_true")
    return parser


def _version(options: argparse.Namespace) -> None:
    if options.output == "json":
        _print({"ProjectName": "cli", "Version": VERSION})
    else:
        print(f"Databricks CLI v{VERSION}")


def _print(document: Any) -> None:
    print(json.dumps(document, indent=2, ensure_ascii=False))


def _settings(options: argparse.Namespace) -> Settings:
    given = dict(pair.split("=", 1) for text in options.var for pair in text.split(","))
    if not Path("databricks.yml").exists():
        raise CommandError("unable to locate bundle root: databricks.yml not found")
    return read(Path.cwd(), options.target, given)


def _session(options: argparse.Namespace, always: bool = True) -> Session:
    """Connect, read the bundle, and pull the state."""
    settings = _settings(options)
    session = connect(settings)
    programs.start(Path.cwd(), settings.tree)
    _ = session.nodes  # what is wrong with the bundle ends the command before the state is read
    session.state.pull(session.files, session.state_path, always)
    return session


def _validate(options: argparse.Namespace) -> None:
    settings = _settings(options)
    try:
        _refuse_rate()
        session = connect(settings)
        tree: Json = show.configuration(session)
    except CommandError:
        if options.output == "json":
            _print(show.offline(settings))
        raise
    _writable(session)
    if options.output == "json":
        _print(tree)
    else:
        print(f"Name: {tree['bundle']['name']}\nTarget: {settings.target}\n\nValidation OK!")


def _refuse_rate() -> None:
    """What the environment sets is read before any call; this stops there when it is no number."""
    rate = os.environ.get("DATABRICKS_RATE_LIMIT", "1")
    if not rate.isdecimal():
        raise CommandError(
            "cannot resolve bundle auth configuration: resolve: strconv.Atoi: parsing "
            f'"{rate}": invalid syntax'
        )


def _writable(session: Session) -> None:
    path = session.workspace["file_path"]
    if session.files.status(path) is None:
        session.files.mkdirs(path)


def _plan(options: argparse.Namespace) -> None:
    session = _session(options)
    session.files.read(f"{session.state_path}/deployment.json")  # as the real one: it may fail
    if changed := deploy.edited_dashboards(session):
        say(f"Warning: {changed}\n")
    plan = Planner(session.client, session.state, session.nodes).run()
    if options.output == "json":
        _print(plan)
        return
    made, updated, deleted, same = counts(plan["plan"])
    for key, entry in plan["plan"].items():
        if entry["action"] != "skip":
            print(entry["action"].split("_")[0], key.removeprefix("resources."))
    gap = "\n" if made + updated + deleted else ""
    print(f"{gap}Plan: {made} to add, {updated} to change, {deleted} to delete, {same} unchanged")


def _deploy(options: argparse.Namespace) -> None:
    session = _session(options)
    saved = load_plan(Path(options.plan), session.state) if options.plan else None
    if not (saved or options.force) and (changed := deploy.edited_dashboards(session)):
        raise CommandError(changed)
    deploy.deploy(session, saved, options.auto_approve, options.force_lock)


def _summary(options: argparse.Namespace) -> None:
    session = _session(options, always=options.force_pull)
    _print(show.configuration(session, session.state))


def _destroy(options: argparse.Namespace) -> None:
    if not options.auto_approve:
        raise CommandError(
            "this command will destroy all resources deployed by this bundle, including workspace "
            f"files in the deployment directory.\n{deploy.DATA_LOSS}\n"
            "To proceed, use --auto-approve."
        )
    deploy.destroy(_session(options), options.force_lock)


def _bind(options: argparse.Namespace) -> None:
    deploy.bind(_session(options), options.key, options.id, options.force_lock)


def _unbind(options: argparse.Namespace) -> None:
    deploy.unbind(_session(options), options.key, options.force_lock)
