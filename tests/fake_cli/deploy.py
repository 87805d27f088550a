"""The commands that write: lock, files, resources, state."""

import json
import posixpath
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from fake_cli import VERSION
from fake_cli.api import ApiError, Json, persistent
from fake_cli.diff import at
from fake_cli.errors import CommandError, say
from fake_cli.kinds import Changed, Grants, kind_of
from fake_cli.plan import Planner, counts, order, resolve_texts
from fake_cli.session import Session
from fake_cli.sync import Snapshot, is_notebook, selected

NO_PROMPT = (
    "the deployment requires destructive actions, but the current console does not support "
    "prompting.\n"
)
DATA_LOSS = (
    "Deleting data assets such as schemas, pipelines, or volumes may cause permanent data loss "
    "and should be carefully reviewed."
)
_ASKED = (
    *("schemas", "pipelines", "volumes", "dashboards", "database_instances", "database_catalogs"),
    *("synced_database_tables", "postgres_projects", "postgres_branches", "genie_spaces"),
    "vector_search_indexes",
)
_FOLDER_LEVELS = {"CAN_MANAGE": "CAN_MANAGE", "CAN_VIEW": "CAN_READ", "CAN_RUN": "CAN_RUN"}


def now() -> str:
    """The time in UTC, as Go writes it."""
    return datetime.now(UTC).isoformat().replace("+00:00", "Z")


@contextmanager
def locked(session: Session, force: bool, may_be_gone: bool = False) -> Iterator[None]:
    """Hold the deployment lock; one that somebody else holds ends the command.

    Raises:
        CommandError: somebody holds the lock, or it cannot be written.
    """
    if not session.locks:
        yield
        return
    path, own = f"{session.state_path}/deploy.lock", str(uuid.uuid4())
    _acquire(session, path, own, force)
    try:
        yield
    finally:
        if not may_be_gone or session.files.status(path) is not None:
            _assert_held(session, path, own)
            session.files.delete(path)


def _acquire(session: Session, path: str, own: str, force: bool) -> None:
    body = {"ID": own, "AcquisitionTime": now(), "IsForced": force, "User": session.user.name}
    try:
        with suppress(FileExistsError):
            session.files.write(path, json.dumps(body).encode(), overwrite=force)
        _assert_held(session, path, own)
    except ApiError as error:
        text = f"access denied: {path}" if error.status == 403 else str(error)
        say(f"Error: Failed to acquire deployment lock: {text}")
        raise CommandError(text) from None
    except CommandError as error:
        say(f"Error: Failed to acquire deployment lock: {error}")
        raise


def _assert_held(session: Session, path: str, own: str) -> None:
    content = session.files.read(path)
    if content is None:
        raise CommandError("no active lock on target dir: file does not exist")
    held = json.loads(content)
    if held["ID"] == own:
        return
    when = held["AcquisitionTime"].replace("T", " ").replace("Z", " +0000 UTC")
    how = "force-acquired" if held["IsForced"] else "acquired"
    raise CommandError(
        f"deploy lock {how} by {held['User']} at {when}.\n"
        "Another deployment may be in progress. Use --force-lock to override, but this may\n"
        "conflict with the other deployment if it is still active"
    )


def deploy(session: Session, saved: Json | None, approved: bool, force_lock: bool) -> None:
    """Upload the files and bring the resources to what the plan says.

    Raises:
        CommandError: something was refused; what was done until then is in the state.
    """
    previous = None if saved else _deployment(session)
    with locked(session, force_lock):
        uploaded, deleted = _upload(session, previous)
        try:
            _share_folders(session)
            plan = saved or Planner(session.client, session.state, session.nodes).run()
            session.state.begin()
            _refuse_unapproved(plan["plan"], approved)
            _carry_out(session, plan["plan"])
            _describe(session)
        except CommandError as error:
            error.tell()
            say(f"Files: {uploaded} uploaded, {deleted} deleted")
            raise
    _report(plan["plan"], uploaded, deleted)


def edited_dashboards(session: Session) -> str:
    """Which dashboards somebody changed since the last deploy; a deploy stops then."""
    for name in session.resources.get("dashboards", {}):
        key = f"resources.dashboards.{name}"
        if key in session.state.ids:
            path = f"/api/2.0/lakeview/dashboards/{session.state.ids[key]}"
            etag = session.client.call("GET", path).get("etag")
            if etag != session.state.entries[key]["state"].get("etag"):
                return f'dashboard "{name}" has been modified remotely; use --force to overwrite it'
    return ""


def _report(plan: Json, uploaded: int, deleted: int) -> None:
    for key, entry in plan.items():
        if entry["action"] != "skip":
            verb = entry["action"].split("_")[0].capitalize()
            say(f"{verb}d {key.removeprefix('resources.')}")
    say(f"Files: {uploaded} uploaded, {deleted} deleted")
    made, changed, gone, same = counts(plan)
    say(f"Resources: {made} created, {changed} changed, {gone} deleted, {same} unchanged")


def _deployment(session: Session) -> Json:
    content = session.files.read(f"{session.state_path}/deployment.json")
    found: Json = json.loads(content) if content else {}
    return found


def _upload(session: Session, previous: Json | None) -> tuple[int, int]:
    """Put the files where they belong, and remove those of the deploy before."""
    internal = f"{session.workspace['artifact_path']}/.internal"
    session.files.delete(internal, recursive=True)
    session.files.mkdirs(internal)
    target, root = session.workspace["file_path"], session.root
    say(f"Uploading bundle files to {target}...")
    session.files.status(target)
    sync = session.tree.section("sync")
    chosen = selected(root, sync.get("include", []), sync.get("exclude", []))
    listed = [{"local_path": f, "is_notebook": is_notebook(root / f)} for f in chosen]
    local = session.state.folder / "deployment.json"
    known = json.loads(local.read_bytes()) if local.exists() else {}
    before = known if previous is None else previous
    snapshot = Snapshot(session.state.folder, f"{session.client.host}{target}")
    fresh = chosen
    if known.get("seq") == before.get("seq"):
        fresh = snapshot.changed(root, chosen)
    _write_files(session, target, fresh)
    gone = [one for one in before.get("files", []) if one["local_path"] not in chosen]
    for one in gone:
        stem = posixpath.splitext(one["local_path"])[0]
        session.files.delete(f"{target}/{stem if one['is_notebook'] else one['local_path']}")
    snapshot.keep(root, chosen)
    _record(session, before, listed)
    return len(fresh), len(gone)


def _write_files(session: Session, target: str, files: list[str]) -> None:
    folders = {posixpath.dirname(file) for file in files} - {""}
    for folder in sorted(folders):
        if not any(other.startswith(f"{folder}/") for other in folders):
            session.files.mkdirs(f"{target}/{folder}")
    for file in files:
        session.files.write(f"{target}/{file}", (session.root / file).read_bytes())


def _record(session: Session, previous: Json, files: list[Json]) -> None:
    document = {
        "version": 1,
        "seq": previous.get("seq", 0) + 1,
        "cli_version": VERSION,
        "timestamp": now(),
        "files": files,
        "id": previous.get("id") or str(uuid.uuid4()),
    }
    text = json.dumps(document)
    session.state.folder.mkdir(parents=True, exist_ok=True)
    (session.state.folder / "deployment.json").write_text(text, encoding="utf-8")
    session.files.write(f"{session.state_path}/deployment.json", text.encode())


def _share_folders(session: Session) -> None:
    """Give the target's principals the folders; those below the root inherit from it."""
    wanted = [
        {
            "permission_level": _FOLDER_LEVELS[entry["level"]],
            **{name: value for name, value in entry.items() if name != "level"},
        }
        for entry in session.tree.get("permissions") or []
    ]
    root = session.workspace["root_path"]
    names = ("root_path", "artifact_path", "file_path", "state_path", "resource_path")
    paths = dict.fromkeys(session.workspace[name] for name in names)
    for path in paths if wanted else ():
        if path == root or not path.startswith(f"{root}/"):
            found = session.files.status(path) or {}
            target = f"/api/2.0/permissions/directories/{found.get('object_id')}"
            session.client.call("PUT", target, {"access_control_list": wanted})
    if session.resources.get("dashboards"):
        session.files.mkdirs(session.workspace["resource_path"])


def _refuse_unapproved(plan: Json, approved: bool) -> None:
    lost = {
        key: entry["action"]
        for key, entry in plan.items()
        if entry["action"] in ("delete", "recreate")
        and not entry.get("gone")
        and key.split(".")[1] in _ASKED
        and len(key.split(".")) == 3
    }
    for group in _ASKED:
        found = [key for key in lost if key.split(".")[1] == group]
        if found:
            say(f"\nThis action will result in the deletion or recreation of these {group}:")
        for key in found:
            say(f"  {lost[key]} {key}")
    if lost and not approved:
        raise CommandError(
            f"{NO_PROMPT}{DATA_LOSS}\n"
            "To proceed, use --auto-approve after reviewing the plan above."
        )


def _carry_out(session: Session, plan: Json) -> None:
    """Apply the plan; whatever happens, what was done reaches the state."""
    failures = Applier(session, plan).run()
    session.state.finish()
    session.state.push(session.files, session.state_path)
    if failures:
        raise CommandError("\n\nError: ".join(failures))


@dataclass
class Applier:
    """Brings the resources to what the plan says."""

    session: Session
    plan: Json
    failed: set[str] = field(default_factory=set)
    remotes: Json = field(default_factory=dict)

    def run(self) -> list[str]:
        """Apply each entry; the failures, as messages."""
        failures: list[str] = []
        for key in order(self.plan):
            entry = self.plan[key]
            blocked = self._blocked(key)
            try:
                if blocked:
                    raise CommandError(f"dependency failed: {blocked}")
                self._apply(key, entry)
            except CommandError as error:
                self.failed.add(key)
                if not (blocked and entry["action"] == "skip"):
                    failures.append(f"cannot {entry['action']} {key}: {error}")
        return failures

    def _blocked(self, key: str) -> str | None:
        entry = self.plan[key]
        if entry["action"] == "delete":
            nodes = [
                other
                for other in self.plan
                for one in self.plan[other].get("depends_on", [])
                if one["node"] == key and self.plan[other]["action"] == "delete"
            ]
        else:
            nodes = [one["node"] for one in entry.get("depends_on", [])]
        return next((node for node in nodes if node in self.failed), None)

    def _apply(self, key: str, entry: Json) -> None:
        if entry["action"] == "delete":
            if not entry.get("gone"):
                self._delete(key)
            self.session.state.forget(key)
            return
        if entry["action"] != "skip":
            self._write(key, entry)
        self._look_at(key)

    def _look_at(self, key: str) -> None:
        """Others may refer to any field of what the workspace says."""
        needed = any(
            one["node"] == key and other["action"] != "delete"
            for other in self.plan.values()
            for one in other.get("depends_on", [])
        )
        if needed and self.remotes.get(key) is None:
            client, identity = self.session.client, self.session.state.ids[key]
            self.remotes[key] = persistent(lambda: kind_of(key).read(client, identity))

    def _write(self, key: str, entry: Json) -> None:
        value, variables = entry["new_state"]["value"], entry["new_state"].get("vars", {})
        resolve_texts(value, variables, self._known)
        if variables:
            raise CommandError(f"unresolved references: {json.dumps(variables)}")
        state, kind, client = self.session.state, kind_of(key), self.session.client
        if entry["action"] in ("update", "update_id"):
            identity, self.remotes[key] = self._update(key, value, entry)
            if isinstance(kind, Grants) and not value.get("__embed__"):
                state.forget(key)  # nothing is left that the bundle granted
                return
        else:
            if entry["action"] == "recreate":
                persistent(lambda: self._delete(key))
                state.forget(key)
            identity, self.remotes[key] = kind.create(client, value)
        state.save(key, identity, value, entry.get("depends_on", []))

    def _update(self, key: str, value: Json, entry: Json) -> Changed:
        session, identity = self.session, self.session.state.ids[key]
        try:
            return persistent(lambda: kind_of(key).update(session.client, identity, value, entry))
        except CommandError as error:
            raise CommandError(f"updating id={identity}: {error}") from None

    def _delete(self, key: str) -> None:
        session, identity = self.session, self.session.state.ids[key]
        try:
            saved = session.state.entries.get(key, {}).get("state", {})
            kind_of(key).delete(session.client, identity, saved)
        except ApiError as error:
            if error.status == 403 and self.plan[key]["action"] == "delete":
                say(f"Warn: Ignoring permission error when deleting {key} id={identity}: {error}")
            elif not error.missing:
                raise

    def _known(self, key: str, path: str) -> Any:
        if path == "id":
            return self.session.state.ids.get(key)
        return at(self.remotes.get(key), path)


def _describe(session: Session) -> None:
    """Write metadata.json: what was deployed from where."""
    kinds = ("jobs", "pipelines", "dashboards")
    about = session.tree["bundle"]
    git = {"bundle_root_path": ".", **about.get("git", {})}
    names = ("name", "target", "mode")
    document = {
        "version": 1,
        "config": {
            "bundle": {**{n: about[n] for n in names if n in about}, "git": git},
            "workspace": {"file_path": session.workspace["file_path"]},
            "resources": {
                kind: {name: _described(session, kind, name) for name in session.resources[kind]}
                for kind in kinds
                if session.resources.get(kind)
            },
            "presets": {"source_linked_deployment": False},
        },
        "extra": {},
    }
    text = json.dumps(document, indent=2)
    session.files.write(f"{session.state_path}/metadata.json", text.encode())


def _described(session: Session, kind: str, name: str) -> Json:
    declared = session.tree.section("resources").section(kind)
    path = session.resources[kind][name].get("file_path")
    return {
        "id": session.state.ids.get(f"resources.{kind}.{name}", ""),
        "relative_path": declared.marks[name].file,
        **({"file_path": path} if path else {}),
    }


def destroy(session: Session, force_lock: bool) -> None:
    """Delete all resources of the target, then its folder."""
    root = session.workspace["root_path"]
    if session.files.status(root) is None:
        say("No active deployment found to destroy!")
        return
    with locked(session, force_lock, may_be_gone=True):
        plan = Planner(session.client, session.state, {}).run()["plan"]
        resources = [key for key in plan if len(key.split(".")) == 3]
        if resources:
            say("The following resources will be deleted:")
        for key in resources:
            say(f"  delete {key}")
        say(f"\nAll files and directories at the following location will be deleted: {root}\n")
        session.state.begin()
        failures = Applier(session, plan).run()
        session.state.finish()
        if failures:
            raise CommandError("\n\nError: ".join(failures))
        session.files.delete(root, recursive=True)
        say(f"Destroy: {len(resources)} deleted")


def bind(session: Session, key: str, identity: str, force_lock: bool) -> None:
    """Take a resource that exists into the state; the next deploy brings it to the YAML."""
    node = session.node(key)
    try:
        kind_of(node).read(session.client, identity)
    except CommandError as error:
        raise CommandError(f"failed to fetch the resource, err: {error}") from None
    with locked(session, force_lock):
        known = session.state.ids.get(node)
        if known:
            raise CommandError(_managed(node, known, identity))
        for bare in (True, False):  # twice, as the real one does: the serial grows by two
            session.state.begin()
            wanted, depends_on = ({}, []) if bare else _wanted(session, node)
            session.state.save(node, identity, wanted, depends_on)
            session.state.finish()
        session.state.push(session.files, session.state_path)
    kind = node.split(".")[1].removesuffix("s")
    say(f"Successfully bound {kind} with an id '{identity}'")


def _managed(node: str, known: str, wanted: str) -> str:
    text = "Resource already managed\n\nThe bundle is already managing"
    if known == wanted:
        return f"{text} resource for {node} and it is bound to the requested ID {known}."
    return (
        f"{text} a resource for {node} with ID '{known}'.\nTo bind to a different resource "
        f"with ID '{wanted}', you must first unbind the existing resource."
    )


def _wanted(session: Session, key: str) -> tuple[Json, list[Json]]:
    plan = Planner(session.client, session.state, session.nodes).run()["plan"]
    value = plan[key].get("new_state", {}).get("value", session.nodes[key].state)
    return value, plan[key].get("depends_on", [])


def unbind(session: Session, key: str, force_lock: bool) -> None:
    """Take a resource out of the state, and leave it in the workspace."""
    node = session.node(key)
    with locked(session, force_lock):
        session.state.begin()
        for known in [node, *session.state.entries]:
            if known == node or known.startswith(f"{node}."):
                session.state.forget(known)
        session.state.finish()
        session.state.push(session.files, session.state_path)
