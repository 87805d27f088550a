"""Workspace files: folders, files, notebooks, and who may do what with them."""

import base64
from collections.abc import Iterator, MutableMapping
from dataclasses import dataclass, field
from posixpath import basename, dirname, normpath, splitext
from typing import TYPE_CHECKING

from .identities import Identity, who
from .wire import (
    Answer,
    ApiError,
    Json,
    Request,
    call,
    denied,
    exists,
    invalid,
    missing,
    next_id,
    now_ms,
)

if TYPE_CHECKING:
    from .server import Workspace

LIMIT = 10 * 1024 * 1024
# Entries of one folder. No page of the vendor says it; the error of a workspace does, with 403:
# "MAX_CHILD_NODE_SIZE_EXCEEDED: Size limit exceeded for folder [...] Current size: 10000
# Limit: 10000" (ADR 0029 of ragspine on GitHub; the status is in the CLI's source, deploy/lock).
CHILDREN = 10_000
LEVELS = ("", "CAN_READ", "CAN_RUN", "CAN_EDIT", "CAN_MANAGE")
LANGUAGES = {".py": "PYTHON", ".sql": "SQL", ".scala": "SCALA", ".r": "R"}
COMMENTS = {".py": "#", ".sql": "--", ".scala": "//", ".r": "#"}


@dataclass
class Node:
    """A folder, a file, a notebook or a dashboard."""

    path: str
    kind: str
    owner: str
    content: bytes = b""
    language: str = ""
    resource_id: str = ""
    acl: list[Json] = field(default_factory=list)
    object_id: int = field(default_factory=next_id)
    created_at: int = field(default_factory=now_ms)
    modified_at: int = field(default_factory=now_ms)

    def info(self, asked: str) -> Json:
        """What the service tells, with the path in the form in which it was asked for."""
        whole = asked.startswith("/Workspace")
        path = self.path if whole else self.path.removeprefix("/Workspace") or "/"
        answer: Json = {"object_type": self.kind, "path": path, "object_id": self.object_id}
        answer |= {"created_at": self.created_at, "modified_at": self.modified_at}
        if self.kind == "FILE":
            answer["size"] = len(self.content)
        optional = {"language": self.language, "resource_id": self.resource_id}
        return answer | {name: value for name, value in optional.items() if value}


class Files(MutableMapping[str, bytes]):
    """The contents of files and notebooks by path, past all rights."""

    def __init__(self, tree: "Tree") -> None:
        self._tree = tree

    def __getitem__(self, path: str) -> bytes:
        node = self._tree.nodes[full(path)]
        if node.kind == "DIRECTORY":
            raise KeyError(path)
        return node.content

    def __setitem__(self, path: str, content: bytes) -> None:
        node = self._tree.nodes.get(full(path))
        if node is None:
            self._tree.make(dirname(full(path)), None)
            node = self._tree.put(Node(full(path), "FILE", ""))
        node.content, node.modified_at = content, now_ms()

    def __delitem__(self, path: str) -> None:
        self[path]
        del self._tree.nodes[full(path)]

    def __iter__(self) -> Iterator[str]:
        nodes = list(self._tree.nodes.values())
        return iter(sorted(node.path for node in nodes if node.kind != "DIRECTORY"))

    def __len__(self) -> int:
        return sum(1 for _ in self)


class Tree:
    """All nodes by path, and the rights on them.

    Attributes:
        hidden_status: What tells that a path may not be read: 403, or 404 as if it were missing.
        most_children: How many entries a folder takes; the `files` of tests are not counted.
    """

    def __init__(self) -> None:
        self.nodes: dict[str, Node] = {}
        self.files = Files(self)
        self.hidden_status = 403
        self.most_children = CHILDREN
        for path in ("/", "/Workspace", "/Workspace/Users", "/Workspace/Shared"):
            self.put(Node(path, "DIRECTORY", ""))
        shared = {"group_name": "users", "permission_level": "CAN_MANAGE"}
        self.nodes["/Workspace/Shared"].acl.append(shared)

    def put(self, node: Node) -> Node:
        """Adds a node whose parent is there."""
        self.nodes[node.path] = node
        return node

    def make(self, path: str, maker: Identity | None) -> Node:
        """A folder, made with its parents where it is not there."""
        path = full(path)
        node = self.nodes.get(path)
        if node is None:
            parent = self.make(dirname(path), maker)
            self.need_room(parent)
            node = self.put(Node(path, "DIRECTORY", maker.principal if maker else ""))
        if node.kind != "DIRECTORY":
            raise exists(f"Path ({path}) is not a folder.")
        return node

    def make_home(self, identity: Identity) -> None:
        """The home folder of an identity."""
        if identity.principal:
            home = self.make(f"/Workspace/Users/{identity.principal}", None)
            home.acl = [identity.entry("CAN_MANAGE")]

    def by_id(self, object_id: str) -> Node | None:
        """The node with this id."""
        found = (node for node in self.nodes.values() if str(node.object_id) == object_id)
        return next(found, None)

    def lineage(self, path: str) -> list[Node]:
        """The node and the folders above it, as far as they are there."""
        paths = [path]
        while paths[-1] not in ("/", ""):
            paths.append(dirname(paths[-1]))
        return [self.nodes[one] for one in paths if one in self.nodes]

    def level(self, caller: Identity, path: str) -> int:
        """What the caller may do, as an index into `LEVELS`; rights are inherited."""
        if caller.admin:
            return len(LEVELS) - 1
        names = caller.principals
        given = [0]
        for node in self.lineage(path):
            given += [LEVELS.index("CAN_MANAGE")] if node.owner in names else []
            given += [_rank(entry) for entry in node.acl if who(entry) in names]
        return max(given)

    def may(self, caller: Identity, path: str, level: str) -> bool:
        """Whether the caller has this level."""
        return self.level(caller, path) >= LEVELS.index(level)

    def visible(self, caller: Identity, node: Node) -> bool:
        """It may be read, or is a folder above something that may."""
        if self.may(caller, node.path, "CAN_READ") or node.path in ("/", "/Workspace"):
            return True
        inside = node.path.rstrip("/") + "/"
        below = [one for one in self.nodes.values() if one.path.startswith(inside)]
        return any((one.acl or one.owner) and self.level(caller, one.path) for one in below)

    def read(self, caller: Identity, asked: str) -> Node:
        """The node at a path.

        Raises:
            ApiError: It is not there, or not for the caller.
        """
        node = self.nodes.get(full(asked))
        if node is None:
            raise missing(f"Path ({asked}) doesn't exist.")
        if not self.visible(caller, node):
            if self.hidden_status == 404:
                raise missing(f"Path ({asked}) doesn't exist.")
            raise denied(f"{caller.principal} does not have View permissions on {asked}.")
        return node

    def need(self, caller: Identity, path: str, level: str, what: str) -> None:
        """Refuses a caller below a level."""
        if not self.may(caller, path, level):
            raise denied(f"{caller.principal} does not have {level} permissions to {what} {path}.")

    def need_room(self, folder: Node) -> None:
        """Refuses one more entry in a folder that is full."""
        if len(self.nodes) < self.most_children:
            return
        inside = f"{folder.path}/"
        count = sum(
            1 for path in self.nodes if path.startswith(inside) and "/" not in path[len(inside) :]
        )
        if count >= self.most_children:
            sizes = f"Current size: {count} Limit: {self.most_children}"
            message = f"Size limit exceeded for folder '{folder.path}'. {sizes}"
            raise ApiError(403, "MAX_CHILD_NODE_SIZE_EXCEEDED", message)

    def children(self, caller: Identity, folder: Node) -> list[Node]:
        """What the caller sees in a folder."""
        inside = [node for node in self.nodes.values() if dirname(node.path) == folder.path]
        seen = [node for node in inside if node is not folder and self.visible(caller, node)]
        return sorted(seen, key=lambda node: node.path)

    def write(self, caller: Identity, node: Node, *, overwrite: bool) -> None:
        """Stores a file: a new one needs its folder, an old one `overwrite`."""
        parent = self.nodes.get(dirname(node.path))
        if parent is None or parent.kind != "DIRECTORY":
            raise missing(f"The parent folder ({dirname(node.path)}) does not exist.")
        old = self.nodes.get(node.path)
        if old is None:
            self.need(caller, parent.path, "CAN_MANAGE", "create items in")
            self.need_room(parent)
            self.put(node)
            return
        self.need(caller, old.path, "CAN_EDIT", "edit")
        if not overwrite or old.kind == "DIRECTORY":
            raise exists(f"{node.path} already exists.")
        old.content, old.modified_at = node.content, node.modified_at
        old.kind, old.language = node.kind, node.language

    def remove(self, caller: Identity, asked: str, *, recursive: bool) -> None:
        """Deletes a node, with all that is below when asked to."""
        path = full(asked)
        if path not in self.nodes:
            raise missing(f"Path ({asked}) doesn't exist.")
        self.need(caller, path, "CAN_MANAGE", "delete")
        below = [one for one in self.nodes if one.startswith(path + "/")]
        if below and not recursive:
            raise ApiError(400, "DIRECTORY_NOT_EMPTY", f"Folder ({asked}) is not empty")
        for one in [*below, path]:
            del self.nodes[one]


def full(path: str) -> str:
    """The one name of a path: the service takes it with and without /Workspace."""
    path = normpath("/" + path.lstrip("/"))
    if path.startswith(("/Workspace", "/Volumes")) or path == "/":
        return path
    return "/Workspace" + path


def _rank(entry: Json) -> int:
    level = entry["permission_level"]
    return LEVELS.index(level) if level in LEVELS else 0


def _is_notebook(extension: str, content: bytes) -> bool:
    header = f"{COMMENTS.get(extension)} Databricks notebook source".encode()
    return extension == ".ipynb" or content.splitlines()[:1] == [header]


def _stored(path: str, content: bytes, owner: str, form: str, language: str) -> Node:
    if len(content) > LIMIT:
        message = f"The size of {path} exceeds the limit of {LIMIT} bytes"
        raise ApiError(400, "MAX_NOTEBOOK_SIZE_EXCEEDED", message)
    stem, extension = splitext(path)
    if form == "AUTO" and _is_notebook(extension.lower(), content):
        kind = LANGUAGES.get(extension.lower(), "PYTHON")
        return Node(stem, "NOTEBOOK", owner, content, kind)
    if form in ("", "SOURCE"):
        if not language:
            raise invalid("The language must be given for the format SOURCE.")
        return Node(path, "NOTEBOOK", owner, content, language)
    return Node(path, "FILE", owner, content)


@call("POST", "/api/2.0/workspace-files/import-file/{path...}")
def _import_file(workspace: "Workspace", request: Request, path: str) -> None:
    caller = request.caller
    node = _stored(full(path), request.body, caller.principal, "AUTO", "")
    overwrite = request.query.get("overwrite") == "true"
    try:
        workspace.tree.write(caller, node, overwrite=overwrite)
    except ApiError as error:
        if error.code != "RESOURCE_ALREADY_EXISTS":
            raise
        raise ApiError(409, error.code, f"File already exists at ({full(path)}).") from None


@call("POST", "/api/2.0/workspace/import")
def _import(workspace: "Workspace", request: Request) -> None:
    if request.headers.get("content-type", "").startswith("multipart/"):
        form = request.form()
        content = form.pop("content", b"")
        body: Json = {name: value.decode() for name, value in form.items()}
    else:
        body = request.json
        content = base64.b64decode(body.get("content", ""))
    path, owner = full(body["path"]), request.caller.principal
    node = _stored(path, content, owner, body.get("format", ""), body.get("language", ""))
    overwrite = body.get("overwrite") in (True, "true")
    workspace.tree.write(request.caller, node, overwrite=overwrite)


@call("GET", "/api/2.0/workspace/get-status")
def _status(workspace: "Workspace", request: Request) -> Json:
    asked = request.query["path"]
    info = workspace.tree.read(request.caller, asked).info(asked)
    if request.query.get("return_export_info") == "true" and info["object_type"] == "NOTEBOOK":
        info["repos_export_format"] = "SOURCE"
    return info


@call("GET", "/api/2.0/workspace/list")
def _list(workspace: "Workspace", request: Request) -> Json:
    asked = request.query["path"]
    node = workspace.tree.read(request.caller, asked)
    if node.kind != "DIRECTORY":
        return {"objects": [node.info(asked)]}
    after = int(request.query.get("notebooks_modified_after") or 0)
    rows = [one.info(asked) for one in workspace.tree.children(request.caller, node)]
    return {"objects": [row for row in rows if row["modified_at"] >= after]}


@call("GET", "/api/2.0/workspace/export")
def _export(workspace: "Workspace", request: Request) -> Answer:
    node = workspace.tree.read(request.caller, request.query["path"])
    if node.kind == "DIRECTORY":
        raise invalid(f"{node.path} is a folder.")
    if request.query.get("direct_download", "").lower() == "true":
        return Answer(node.content, kind="application/octet-stream")
    kind = splitext(basename(node.path))[1].lstrip(".")
    return Answer({"content": base64.b64encode(node.content).decode(), "file_type": kind})


@call("POST", "/api/2.0/workspace/mkdirs")
def _mkdirs(workspace: "Workspace", request: Request) -> None:
    path, tree = full(request.json["path"]), workspace.tree
    above = tree.lineage(path)[0]
    if above.path != path:
        tree.need(request.caller, above.path, "CAN_MANAGE", "create items in")
    elif not tree.visible(request.caller, above):
        raise denied(f"{request.caller.principal} does not have View permissions on {path}.")
    tree.make(path, request.caller)


@call("POST", "/api/2.0/workspace/delete")
def _delete(workspace: "Workspace", request: Request) -> None:
    body = request.json
    workspace.tree.remove(request.caller, body["path"], recursive=bool(body.get("recursive")))
