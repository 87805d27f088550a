"""Archives of releases, taken apart, put together again, and swapped as an attacker would."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import re
import tarfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from harness.delivering import Sandbox

Files = dict[str, bytes]
EVIL = "src/lakehouse/evil.py"


def contents(archive: Path) -> Files:
    """Everything in an archive, in its order."""
    with tarfile.open(archive) as tar:
        return {e.name: (tar.extractfile(e) or io.BytesIO()).read() for e in tar.getmembers()}


def packed(files: Files, target: Path) -> Path:
    """An archive of some files."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
    target.write_bytes(gzip.compress(buffer.getvalue()))
    return target


def consistent(files: Files) -> Files:
    """The files with a manifest that fits them: what somebody would make who may build."""
    manifest = json.loads(files.pop("manifest.json"))
    manifest["files"] = {
        name: {"sha256": hashlib.sha256(content).hexdigest(), "size": len(content)}
        for name, content in files.items()
    }
    return {"manifest.json": json.dumps(manifest).encode(), **files}


def swapped(archive: Path, folder: Path, manifest: Mapping[str, Any] | None = None) -> Path:
    """A whole archive of the same name, with code that nobody has reviewed."""
    files = consistent({**contents(archive), EVIL: b'"""Evil."""\n'})
    edited = {**json.loads(files["manifest.json"]), **(manifest or {})}
    files["manifest.json"] = f"{json.dumps(edited, indent=1, sort_keys=True)}\n".encode()
    folder.mkdir(exist_ok=True)
    return packed(files, folder / archive.name)


def forge_store(sandbox: Sandbox, archive: Path, target: str = "staging") -> None:
    """What a target's deployer can do: other bytes in its store, and a ledger that fits them."""
    files, root = sandbox.workspace.files, sandbox.root(target)
    release = archive.name.removesuffix(".tar.gz")
    manifest = contents(archive)["manifest.json"]
    files[f"{root}/archives/{release}/release.tar.gz"] = archive.read_bytes()
    files[f"{root}/archives/{release}/manifest.json"] = manifest
    names = sorted(
        n for n in files if re.search(rf"^{root}/ledger/.*\d{{8}}-[a-z_]+-[^.]*\.[^s]*", n)
    )
    previous = 64 * "0"
    for name in (n for n in names if ".state." not in n):
        event = {**json.loads(files[name]), "previous": previous}
        if event["release"] == release:
            event["digest"] = hashlib.sha256(manifest).hexdigest()
        files[name] = json.dumps(event).encode()
        previous = hashlib.sha256(files[name]).hexdigest()
