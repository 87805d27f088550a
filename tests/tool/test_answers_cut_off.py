"""Answers that are cut off, and paths that are written in two ways."""

from __future__ import annotations

import socket
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from delivery.errors import DeliveryError, RefusedError, UnreachableError
from delivery.forge.base import Api
from delivery.plan.existing import _pipeline
from delivery.release.build import _build_wheel
from delivery.workspace.client import Workspace

CUT = (b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n{", b"nonsense\r\n\r\n", b"")


@pytest.fixture(params=CUT, ids=["body", "status line", "nothing"])
def home(request: pytest.FixtureRequest) -> Iterator[str]:
    """A forge whose answer ends early."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer() -> None:
            connection, _ = server.accept()
            with connection:
                connection.recv(65536)
                connection.sendall(request.param)

        thread = threading.Thread(target=answer)
        thread.start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}"
        thread.join()


def test_a_forge_whose_answer_ends_early_is_unreachable(home: str) -> None:
    with pytest.raises(UnreachableError, match="forge: GET /x: "):
        Api(home, {}).call("GET", "/x")


def test_a_listing_that_fails_while_it_is_read_is_an_error_of_its_own() -> None:
    def pages(**_: Any) -> Iterator[Any]:
        raise ConnectionError("reset")
        yield

    client = SimpleNamespace(jobs=SimpleNamespace(list_runs=pages))
    workspace = Workspace("https://example.com", "token")
    vars(workspace)["_client"] = client
    with pytest.raises(DeliveryError, match="runs of job 7"):
        workspace.runs(7)


@pytest.mark.parametrize("written", ["/Workspace/Deployments/lake/prod", "/Deployments/lake/prod"])
@pytest.mark.parametrize("root", ["/Workspace/Deployments/lake/prod", "/Deployments/lake/prod"])
def test_a_pipeline_is_known_by_its_folder_in_both_forms(written: str, root: str) -> None:
    answers = {
        "/api/2.0/pipelines": {"statuses": [{"pipeline_id": "7", "name": "daily"}]},
        "/api/2.0/pipelines/7": {
            "spec": {"deployment": {"metadata_file_path": f"{written}/state/metadata.json"}}
        },
    }
    workspace = SimpleNamespace(get_or_none=lambda path, query=None: answers.get(path))
    resource = {"name": "daily", "root": root}
    assert _pipeline(workspace, resource) == "7"  # type: ignore[arg-type]
    other = {"name": "daily", "root": f"{root}uction"}
    assert _pipeline(workspace, other) == ""  # type: ignore[arg-type]


def test_a_build_without_a_wheel_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "pyproject.toml").write_text('[project]\nversion = "1.0"\n', encoding="utf-8")
    monkeypatch.setattr(sys.modules[_build_wheel.__module__], "_uv", lambda *_, **__: "")
    commit = SimpleNamespace(short="g1", time="0")
    with pytest.raises(RefusedError, match="no wheel in dist"):
        _build_wheel(tmp_path, commit)  # type: ignore[arg-type]
