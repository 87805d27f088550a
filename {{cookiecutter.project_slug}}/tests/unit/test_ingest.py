"""The landing matrix: each kind of file, at the first load and at a later one."""

import gzip
import json
import random
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import domain
import pytest

from lakehouse.engine import Ingested, Tables, times
from lakehouse.engine.ingest import CHANGED, INGESTED, REJECTED
from lakehouse.engine.stores import Folders

HEADER = "shop,number,ordered_at,day,cents,note"
ROW = "north,{},2024-01-01T10:00:00Z,2024-01-01,100,x"
GOOD = f"{HEADER}\n{ROW.format(1)}\n".encode()
Edit = Callable[[str, str, str], None]


def put(root: Path, name: str, content: bytes) -> Path:
    file = root / "landing" / "orders" / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(content)
    domain.arrive(file)
    return file


def ingest(tables: Tables, root: Path) -> Ingested:
    return tables.ingest("orders", str(root / "landing" / "orders"))


def ledger(tables: Tables) -> dict[str, dict[str, Any]]:
    return {row["file"]: row for row in times.collect(tables.read("ops.files"))}


def numbers(tables: Tables) -> list[Any]:
    return [row[0] for row in domain.found(tables, "bronze.orders", "number")]


@dataclass(frozen=True)
class Case:
    """A landing file, and its outcome."""

    name: str
    content: bytes
    status: str = INGESTED
    rows: int = 1
    says: str = ""


COLUMNS = HEADER.split(",")
JSON = json.dumps(dict(zip(COLUMNS, ROW.format(7).split(","), strict=True))).encode()
SEVEN = f"{HEADER}\n{ROW.format(7)}\n"
CASES = [
    Case("plain.csv", SEVEN.encode()),
    Case("UPPER.CSV", SEVEN.encode()),
    Case("packed.csv.gz", gzip.compress(SEVEN.encode())),
    Case("lines.jsonl", JSON),
    Case("sub/folder/plain.csv", SEVEN.encode()),
    Case("with space & ü.csv", SEVEN.encode()),
    Case("shuffled.csv", b"note,cents,day,ordered_at,number,shop\nx,1,,2024-01-01,7,north\n"),
    Case("former-name.csv", SEVEN.replace("note", "remark").encode()),
    Case("header-only.csv", f"{HEADER}\n".encode(), rows=0),
    Case(
        "new-column.csv",
        f"{HEADER},Sales Channel\n{ROW.format(7)},web\n".encode(),
        says="new column sales_channel",
    ),
    Case("without-note.csv", b"shop,number,ordered_at,day,cents\na,7,b,c,1\n", says="without note"),
    Case(
        "without-cents.csv",
        b"shop,number,ordered_at,day,note\na,7,b,c,\n",
        REJECTED,
        0,
        "given the columns shop, number, ordered_at, day, note, expected also cents",
    ),
    Case(
        "renamed.csv",
        SEVEN.replace("cents", "centss").encode(),
        REJECTED,
        0,
        "expected also cents; if centss is a new name of cents, add it to the contract",
    ),
    Case("empty.csv", b"", REJECTED, 0, "the file is empty"),
    Case("ragged.csv", SEVEN.encode() + b"1,2\n", REJECTED, 0, "row 2: given 2 fields, expected 6"),
    Case("latin.csv", SEVEN.replace("x", "ä").encode("latin-1"), REJECTED, 0, "is not UTF-8"),
    Case("twice.csv", b"shop,shop\na,b\n", REJECTED, 0, "the header has shop more than once"),
    Case("reserved.csv", b"shop,_file\na,b\n", REJECTED, 0, "names that begin with _ are reserved"),
    Case("notes.txt", b"hello", REJECTED, 0, "given the suffix .txt, expected .csv"),
    Case("broken.parquet", b"PAR1", REJECTED, 0, "the file is not readable Parquet"),
    Case("broken.csv.gz", b"junk", REJECTED, 0, "the file is not valid gzip"),
]


@pytest.mark.parametrize("later", [False, True], ids=["first load", "later load"])
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_each_file_has_its_outcome_and_never_blocks_the_others(
    tables: Tables, root: Path, case: Case, later: bool
) -> None:
    if later:
        put(root, "0-before.csv", GOOD)
        ingest(tables, root)
    put(root, "a-good.csv", GOOD)
    put(root, case.name, case.content)
    put(root, "z-good.csv", GOOD)
    done = ingest(tables, root)
    seen = ledger(tables)[case.name]
    assert (seen["status"], seen["rows"]) == (case.status, case.rows)
    assert numbers(tables) == ["1"] * (3 if later else 2) + ["7"] * case.rows
    assert [waiting.file for waiting in done.waiting] == [case.name] * (case.status == REJECTED)
    lines = list(done.lines())
    assert len(lines) == bool(case.says)
    assert all(line.startswith(f"orders/{case.name}: ") and case.says in line for line in lines)
    again = ingest(tables, root)
    assert (again.files, again.change.changed, again.waiting) == ((), False, done.waiting)


@pytest.mark.parametrize("content", [b"", f"{HEADER}\n".encode()], ids=["rejected", "without rows"])
def test_a_source_of_which_no_row_landed_has_an_empty_table(
    tables: Tables, root: Path, content: bytes
) -> None:
    put(root, "a.csv", content)
    ingest(tables, root)
    columns = [*COLUMNS, "_row", "_file", "_arrived_at", "_loaded_at"]
    assert tables.read("bronze.orders").columns == columns
    assert tables.count("bronze.orders") == 0


def test_a_file_with_rows_is_appended_as_text_with_its_origin(tables: Tables, root: Path) -> None:
    file = put(root, "a.csv", b'shop,number,ordered_at,cents\n007,"1, 2",,""\n')
    ingest(tables, root)
    row = times.collect(tables.read("bronze.orders"))[0]
    assert {name: row[name] for name in COLUMNS} == {
        "shop": "007", "number": "1, 2", "ordered_at": None, "day": None, "cents": "", "note": None,
    }  # fmt: skip
    assert (row["_file"], row["_row"]) == ("a.csv", 1)
    assert row["_arrived_at"].timestamp() == file.stat().st_mtime
    assert row["_loaded_at"] == ledger(tables)["a.csv"]["loaded_at"]


def test_a_new_column_is_kept_with_the_rows_before_and_after(tables: Tables, root: Path) -> None:
    for number, (header, rest) in enumerate([("", ""), (",channel", ",web"), ("", "")]):
        text = f"{HEADER}{header}\n{ROW.format(number)}{rest}\n"
        put(root, f"{number}.csv", text.encode())
        ingest(tables, root)
    found = domain.found(tables, "bronze.orders", "number", "channel")
    assert found == [("0", None), ("1", "web"), ("2", None)]


@pytest.mark.parametrize("name", [".hidden.csv", "_draft.csv", ".git/a.csv", "_delta_log/a.csv"])
def test_hidden_files_and_folders_are_left_alone(tables: Tables, root: Path, name: str) -> None:
    put(root, "a.csv", GOOD)
    put(root, name, GOOD)
    ingest(tables, root)
    assert list(ledger(tables)) == ["a.csv"]


def test_files_of_one_name_in_two_folders_are_two_files(tables: Tables, root: Path) -> None:
    put(root, "a.csv", GOOD)
    put(root, "b/a.csv", GOOD)
    assert ingest(tables, root).change.inserted == 2
    assert set(ledger(tables)) == {"a.csv", "b/a.csv"}


def test_the_same_name_with_other_bytes_is_reported_until_it_is_as_before(
    tables: Tables, root: Path
) -> None:
    put(root, "a.csv", GOOD)
    ingest(tables, root)
    put(root, "a.csv", SEVEN.encode())
    message = "orders/a.csv: changed: other content under the same name; give it another name"
    for _ in range(2):
        done = ingest(tables, root)
        assert list(done.lines()) == [message]
        assert (numbers(tables), ledger(tables)["a.csv"]["status"]) == (["1"], CHANGED)
    put(root, "a.csv", GOOD)
    assert list(ingest(tables, root).lines()) == []
    assert (numbers(tables), ledger(tables)["a.csv"]["status"]) == (["1"], INGESTED)


def test_a_file_that_was_only_touched_is_not_read_again(tables: Tables, root: Path) -> None:
    domain.arrive(put(root, "a.csv", GOOD))
    ingest(tables, root)
    domain.arrive(root / "landing/orders/a.csv")
    done = ingest(tables, root)
    assert (list(done.lines()), numbers(tables)) == ([], ["1"])


def test_a_rejected_file_is_tried_again_when_it_changes(tables: Tables, root: Path) -> None:
    put(root, "a.csv", b"")
    ingest(tables, root)
    put(root, "a.csv", GOOD)
    assert list(ingest(tables, root).lines()) == []
    assert (numbers(tables), ledger(tables)["a.csv"]["status"]) == (["1"], INGESTED)


def test_a_rejected_file_is_tried_again_when_its_contract_changes(
    tables: Tables, root: Path, edit: Edit
) -> None:
    put(root, "a.csv", SEVEN.replace("cents", "total").encode())
    ingest(tables, root)
    assert len(ingest(tables, root).waiting) == 1
    edit("landing.orders", "{name: cents, ", "{name: cents, synonyms: [{synonym: total}], ")
    assert list(ingest(tables, root).lines()) == []
    assert domain.found(tables, "bronze.orders", "number", "cents") == [("7", "100")]


def test_a_rejected_file_that_was_removed_waits_no_longer(tables: Tables, root: Path) -> None:
    file = put(root, "a.csv", b"")
    assert len(ingest(tables, root).waiting) == 1
    file.unlink()
    assert ingest(tables, root).waiting == ()


def test_a_file_that_cannot_be_read_waits_until_it_can(
    tables: Tables, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def denied(file: Path) -> bytes:
        if file.name == "a.csv":
            raise PermissionError(13, "Permission denied")
        return GOOD

    put(root, "a.csv", GOOD)
    put(root, "b.csv", GOOD)
    with monkeypatch.context() as patch:
        patch.setattr(Path, "read_bytes", denied)
        for _ in range(2):
            lines = list(ingest(tables, root).lines())
            assert lines == ["orders/a.csv: rejected: the file cannot be read: Permission denied"]
    assert list(ingest(tables, root).lines()) == []
    assert numbers(tables) == ["1", "1"]


def test_a_source_without_a_contract_keeps_every_column(tables: Tables, root: Path) -> None:
    (root / "landing").mkdir()
    (root / "landing" / "a.csv").write_bytes(b"n\n1\n")
    assert tables.ingest("others", str(root / "landing")).change.inserted == 1
    assert domain.found(tables, "bronze.others", "n", "_file") == [("1", "a.csv")]


def test_hundreds_of_files_are_appended_in_one_commit(tables: Tables, root: Path) -> None:
    put(root, "first.csv", GOOD)
    ingest(tables, root)
    before = tables.version("bronze.orders")
    for number in range(300):
        put(root, f"{number:03}.csv", GOOD)
    assert ingest(tables, root).change.inserted == 300
    assert before is not None
    assert tables.version("bronze.orders") == before + 1


def test_many_rows_are_in_files_that_several_cores_read(tables: Tables, root: Path) -> None:
    lines = (f"{uuid.UUID(int=random.getrandbits(128))},x" for _ in range(100_000))
    tables.ingest("visits", str(put(root, "many.csv", "\n".join(["a,b", *lines]).encode()).parent))
    files = (root / ".lakehouse/acme_dev/orders_bronze/visits").glob("*.parquet")
    assert len(list(files)) > 1


def test_a_later_batch_is_later_even_if_the_clock_goes_back(
    tables: Tables, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(root, "a.csv", GOOD)
    ingest(tables, root)

    class Slow(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> Any:
            return times.START

    monkeypatch.setattr("lakehouse.engine.ingest.datetime", Slow)
    put(root, "b.csv", GOOD)
    ingest(tables, root)
    seen = ledger(tables)
    assert seen["b.csv"]["loaded_at"] > seen["a.csv"]["loaded_at"]


@pytest.mark.parametrize(
    ("later", "write"),
    [(False, "append_arrow"), (False, "add"), (True, "append_arrow"), (True, "merge")],
)
@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_an_interrupted_ingest_is_completed_without_double_rows(
    tables: Tables,
    root: Path,
    monkeypatch: pytest.MonkeyPatch,
    write: str,
    after: bool,
    later: bool,
) -> None:
    if later:
        put(root, "0.csv", GOOD)
        put(root, "a.csv", b"")  # rejected
        ingest(tables, root)
    put(root, "a.csv", GOOD)
    put(root, "b.csv", SEVEN.encode())
    original = getattr(Folders, write)

    def killed(*given: Any, **named: Any) -> Any:
        if after:
            original(*given, **named)
        raise OSError("killed")

    with monkeypatch.context() as patch:
        patch.setattr(Folders, write, killed)
        with pytest.raises(OSError, match="killed"):
            ingest(tables, root)
    put(root, "c.csv", GOOD)
    ingest(tables, root)
    assert numbers(tables) == ["1"] * (3 if later else 2) + ["7"]
    loaded = dict(domain.found(tables, "bronze.orders", "_file", "_loaded_at"))
    assert {name: row["status"] for name, row in ledger(tables).items()} == dict.fromkeys(
        loaded, INGESTED
    )
    assert ingest(tables, root).files == ()


def test_the_zone_of_the_machine_does_not_matter(
    tables: Tables, root: Path, new_york: None
) -> None:
    file = put(root, "a.csv", GOOD)
    done = ingest(tables, root)
    seen = ledger(tables)["a.csv"]
    assert seen["modified_at"].timestamp() == file.stat().st_mtime
    assert seen["loaded_at"] == done.files[0].loaded_at
    assert ingest(tables, root).files == ()


def test_a_missing_landing_folder_is_named(tables: Tables, root: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"landing folder: given .*/nowhere, expected"):
        tables.ingest("orders", str(root / "nowhere"))


def test_an_empty_landing_folder_is_no_error(tables: Tables, root: Path) -> None:
    (root / "landing" / "orders").mkdir(parents=True)
    done = ingest(tables, root)
    assert (done.files, done.waiting, done.change.rows) == ((), (), 0)
