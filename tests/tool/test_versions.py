"""What other versions of this tool wrote: its schema number is judged, the rest is ignored."""

import json
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from delivery.cli.project import read_receipt
from delivery.config.policy import Freeze, Terms
from delivery.errors import DeliveryError, Exit
from delivery.plan.model import read_plan
from delivery.release import read_archive
from delivery.release.manifest import Manifest
from delivery.target.events import Event, EventName
from delivery.target.ledger import Ledger
from delivery.target.lock import Lock
from delivery.target.store import ReleaseStore

from tool.memory import Memory
from tool.test_archive import FILES, WHOLE, entry, manifest, packed
from tool.test_guard import policy
from tool.test_ledger import ONE, fresh, target, write
from tool.test_plan import NOW, plan

NEWER = "schema 2, expected at most 1: update the delivery tool\n    A newer version wrote it"


def _with(document: Any, **changes: Any) -> Any:
    return {**document, **changes}


def test_terms_come_back_from_an_event_as_they_were() -> None:
    given = policy(protected=["volumes.a"]).terms
    assert Terms.read(json.loads(json.dumps(given.stored())), ONE) == given


def test_terms_say_what_the_policy_says() -> None:
    freeze = Freeze(first=date(2026, 1, 1), last=date(2026, 1, 2), targets=["prod"], reason="x")
    base = policy(protected=["volumes.a"], rights={"prod": "refuse"}, jobs_deleted=1)
    branches = base.branches.model_copy(update={"targets": {"staging": "main", "prod": "main"}})
    changes = {"branches": branches, "freezes": [freeze], "plan_hours": 2}
    given = base.model_copy(update=changes)
    again = Terms.read(given.terms.stored(), ONE)
    assert again.released == given.released
    for name in given.released:
        assert again.approval_of(name) == given.approval_of(name)
        assert again.previous_target(name) == given.previous_target(name)
    mine = policy().model_copy(update={"branches": branches})
    assert mine.stricter(again) == mine.stricter(given)


def test_a_policy_that_an_earlier_version_kept_whole_is_read() -> None:
    given = policy(protected=["volumes.a"])
    assert Terms.read(given.model_dump(mode="json"), ONE) == given.terms


@pytest.mark.parametrize(
    "changes",
    [
        {"more": 1},
        {"guard": {"protected": ["volumes.a"], "more": {"deep": 1}}},
        {"branches": {"targets": {"prod": "release"}, "more": []}},
        {"verify": {"jobs": {}, "seconds": 3}},
        {"project": {"title": "x"}},
    ],
)
def test_fields_that_this_version_does_not_know_stop_nothing(changes: Any) -> None:
    stored = policy(protected=["volumes.a"]).terms.stored()
    assert Terms.read(_with(stored, **changes), ONE).guard.protected == ["volumes.a"]
    whole = policy(protected=["volumes.a"]).model_dump(mode="json")
    assert Terms.read(_with(whole, **changes), ONE).guard.protected == ["volumes.a"]


def test_what_a_version_left_out_stops_nothing() -> None:
    assert policy().stricter(Terms.read({"schema": 1}, ONE)) == policy().stricter(policy())


def test_a_policy_of_a_newer_form_is_refused_by_its_number_alone() -> None:
    with pytest.raises(
        DeliveryError, match=f"policy of the running release {ONE} has {NEWER}"
    ) as caught:
        Terms.read(_with(policy().terms.stored(), schema=2), ONE)
    assert caught.value.code is Exit.BAD_INPUT


def test_a_damaged_policy_does_not_ask_for_an_update() -> None:
    with pytest.raises(DeliveryError, match=r"plan_hours: .*\n.* is damaged") as caught:
        Terms.read({"schema": 1, "plan_hours": "soon"}, ONE)
    assert "update" not in str(caught.value)


@pytest.fixture
def memory() -> Memory:
    return Memory()


def test_an_event_of_a_later_version_is_read(memory: Memory) -> None:
    write(fresh(memory), ("deployed", ONE))
    path = f"/lake/ledger/00000001-deployed-{ONE}.json"
    changed = _with(json.loads(memory.files[path]), more={"deep": 1}, state={"serial": 3, "x": 1})
    memory.files[path] = json.dumps(changed).encode()
    event = fresh(memory).read(EventName(1, "deployed", ONE))
    assert (event.release, event.state.serial) == (ONE, 3)
    write(fresh(memory), ("verified", ONE))
    fresh(memory).verify(fresh(memory).list_events())


def test_a_kind_of_a_later_version_is_read(memory: Memory) -> None:
    write(fresh(memory), ("deployed", ONE))
    body = json.loads(memory.files.pop(f"/lake/ledger/00000001-deployed-{ONE}.json"))
    content = json.dumps(_with(body, kind="approved")).encode()
    memory.files[f"/lake/ledger/00000001-approved-{ONE}.json"] = content
    assert fresh(memory).read(fresh(memory).list_events()[0]).kind == "approved"
    assert fresh(memory).history().running == ""


def test_a_receipt_of_a_later_version_is_read(memory: Memory, tmp_path: Path) -> None:
    write(fresh(memory), ("verified", ONE))
    (content,) = (c for n, c in memory.files.items() if "verified" in n)
    file = tmp_path / "receipt.json"
    file.write_text(json.dumps(_with(json.loads(content), more=1)), encoding="utf-8")
    receipt = read_receipt(file)
    assert receipt == Event.parse(content)
    file.write_text(json.dumps(_with(json.loads(content), schema=2)), encoding="utf-8")
    with pytest.raises(DeliveryError, match=f"event 1 has {NEWER}"):
        read_receipt(file)


@pytest.mark.parametrize("text", ["", "[]", "{}", "null", "3", '{"schema": 1}', "[" * 9999])
def test_what_is_no_receipt_is_told(tmp_path: Path, text: str) -> None:
    file = tmp_path / "receipt.json"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(DeliveryError, match="expected a file written by: delivery fetch staging"):
        read_receipt(file)


def test_a_lock_of_a_later_version_tells_who_has_it(memory: Memory) -> None:
    lock = Lock("1", "ana", "", NOW, "deploy x")
    content = json.dumps(_with(json.loads(lock.content()), more=1, until="x")).encode()
    memory.files["/lake/ledger/lock.json"] = content
    assert fresh(memory).current_lock() == lock


@pytest.mark.parametrize("content", [b"", b"[]", b"null", b"\x00", b'{"at": 3}', b'{"id": "1"}'])
def test_whatever_a_lock_says_somebody_has_it(memory: Memory, content: bytes) -> None:
    memory.files["/lake/ledger/lock.json"] = content
    held = fresh(memory).current_lock()
    assert held is not None
    assert held.actor == "unknown holder"


def test_a_manifest_of_a_later_version_is_read_with_its_digest() -> None:
    document = _with(manifest(FILES).model_dump(by_alias=True), more={"deep": 1})
    file = next(iter(document["files"]))
    document["files"][file] = _with(document["files"][file], mode="x")
    later = Manifest.parse(json.dumps(document).encode())
    made = packed((entry("manifest.json"), later.content()), *WHOLE)
    read, files = read_archive(made, "x.tar.gz")
    assert files == FILES
    assert read.manifest.digest == later.digest != manifest(FILES).digest
    assert json.loads(read.manifest.content()) == document


def test_a_manifest_of_a_newer_form_is_refused_by_its_number() -> None:
    document = _with(manifest(FILES).model_dump(by_alias=True), schema=2)
    content = packed((entry("manifest.json"), json.dumps(document).encode()), *WHOLE)
    with pytest.raises(DeliveryError, match=f"manifest of 2026.11.23-g0a1b2c3d has {NEWER}"):
        read_archive(content, "x.tar.gz")


def test_a_plan_of_another_version_is_made_again(tmp_path: Path) -> None:
    file = tmp_path / "plan.json"
    plan().write(file)
    document = json.loads(file.read_text(encoding="utf-8"))
    document["plan"]["more"] = 1
    file.write_text(json.dumps(document), encoding="utf-8")
    with pytest.raises(DeliveryError, match=r"delivery plan --save\n    Make it again"):
        read_plan(file, NOW)
    document["plan"]["schema"] = 3
    file.write_text(json.dumps(document), encoding="utf-8")
    with pytest.raises(DeliveryError, match="has schema 3, expected at most 2: update"):
        read_plan(file, NOW)


def test_a_plan_of_an_earlier_version_says_so(tmp_path: Path) -> None:
    """Its fields have other names: nobody is told that it is no plan."""
    file = tmp_path / "plan.json"
    file.write_text('{"plan": {"schema": 1, "digest_of_release": "0"}}', encoding="utf-8")
    with pytest.raises(DeliveryError, match=r"plan.json: an earlier version of delivery made this"):
        read_plan(file, NOW)


@pytest.mark.parametrize(
    ("marker", "expected"),
    [
        ({"schema": 2, "project": "p"}, rf"TARGET.json in /lake has {NEWER}"),
        ({"schema": 1, "project": "p", "more": [1]}, ""),
        ({"project": "p"}, ""),
        ({"schema": 1}, "cannot be parsed"),
        ([], "cannot be parsed"),
        ("p", "cannot be parsed"),
    ],
)
def test_a_marker_is_judged_by_its_number(memory: Memory, marker: Any, expected: str) -> None:
    memory.files["/lake/TARGET.json"] = json.dumps(marker).encode()
    store = ReleaseStore(memory, target())  # type: ignore[arg-type]
    if not expected:
        store.check_marker()
        return
    with pytest.raises(DeliveryError, match=expected) as caught:
        store.check_marker()
    assert caught.value.code is Exit.BAD_INPUT


@pytest.mark.parametrize("state", ["[]", "{}", "3", '{"state": {"resources.jobs.a": 1}}', "\x00"])
def test_a_state_that_is_none_is_told(memory: Memory, state: str) -> None:
    memory.files["/lake/state/resources.json"] = state.encode()
    store = ReleaseStore(memory, target())  # type: ignore[arg-type]
    with pytest.raises(DeliveryError, match="cannot be parsed") as caught:
        store.state()
    assert caught.value.code is Exit.BAD_INPUT


def test_the_ledger_of_an_unknown_target_is_not_begun(memory: Memory) -> None:
    memory.hidden.add("/lake/ledger")
    made: list[str] = []
    memory.before["lock.json"] = lambda: made.append("lock.json")
    with pytest.raises(DeliveryError, match="target prod is not visible: no ledger") as caught:
        write(fresh(memory), ("blocked", ONE))
    assert (caught.value.code, memory.files, made) == (Exit.BAD_INPUT, {}, [])
    new = Ledger(memory, target())  # type: ignore[arg-type]
    new.may_be_missing = True
    write(new, ("started", ONE))
    assert len(memory.files) == 1


def test_an_event_is_stored_one_field_a_line_as_its_digest_needs() -> None:
    event = Event(
        seq=1, previous="", id="x", at=NOW, kind="verified", project="p", target="prod",
        release="r", actor="ana",
    )  # fmt: skip
    first, second, *_, last, after = event.content().decode().split("\n")
    assert (first, second, last, after) == ("{", ' "schema": 1,', "}", "")
    assert Event.parse(event.content()) == event


def test_what_is_no_event_says_why() -> None:
    with pytest.raises(ValueError, match="'list' object has no attribute 'get'"):
        Event.parse(b"[]")
    content = json.dumps({"schema": 99, "seq": 7}).encode()
    with pytest.raises(DeliveryError, match=r"^event 7 has schema 99"):
        Event.parse(content)
