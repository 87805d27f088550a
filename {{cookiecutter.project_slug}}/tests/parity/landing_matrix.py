"""Every way in which a landing file can differ, as first load and as later load.

All cases are folders of one source, so each also shows that it does not block the others. They land
in an empty lake, or after a good file; then some are mended or changed, and the ingest runs again.
"""

import bz2
import gzip
import io
import json
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
from pyarrow import parquet

from lakehouse.contract import Column, Contract
from lakehouse.engine import Ingested, Tables, ingest

GOOD = b"id,name,note\n1,Ada,first\n2,Bob,\n"
SCHEMAS = {"bronze": "matrix_bronze", "ops": "matrix_ops"}
CONTRACT = Contract(
    "landing.matrix",
    (
        Column("id", "bigint", required=True),
        Column("name", "string", required=True, synonyms=("full_name",)),
        Column("note", "string"),
    ),
    key=("id",),
)


@dataclass(frozen=True)
class Case:
    """A way in which files differ.

    Attributes:
        files: their contents by name.
        outcome: how the text of `outcomes` begins after the first run.
        later: what some of them are before the second run; None if they are removed.
        again: the outcome after the second run; empty if it is the same.
    """

    files: Mapping[str, bytes]
    outcome: str
    later: Mapping[str, bytes | None] = field(default_factory=dict)
    again: str = ""


def _parquet(columns: Mapping[str, list[Any]]) -> bytes:
    buffer = io.BytesIO()
    parquet.write_table(pa.table(columns), buffer)
    return buffer.getvalue()


def _lines(*rows: Mapping[str, Any]) -> bytes:
    return "\n".join(map(json.dumps, rows)).encode()


OK = "ingested"
NOTHING = "not seen"
CASES: dict[str, Case] = {
    "good": Case({"a.csv": GOOD}, OK),
    "header-only": Case({"a.csv": b"id,name,note\n"}, OK),
    "empty": Case({"a.csv": b""}, "rejected: the file is empty"),
    "blank": Case({"a.csv": b"\n"}, "rejected: the file has no header"),
    "empty_gzip": Case({"a.csv.gz": gzip.compress(b"", mtime=0)}, "rejected: the file is empty"),
    "emptied": Case({"a.csv": GOOD}, OK, {"a.csv": b""}, "changed"),
    "filled": Case({"a.csv": b""}, "rejected: the file is empty", {"a.csv": GOOD}, OK),
    "ragged": Case({"a.csv": GOOD + b"3,Cy\n"}, "rejected: row 3: given 2 fields"),
    "not_utf8": Case({"a.csv": b"id,name,note\n1,Jos\xe9,\n"}, "rejected: the file is not UTF-8"),
    "duplicate_header": Case({"a.csv": b"id,name,ID\n1,Ada,1\n"}, "rejected: the header has id"),
    "nameless_column": Case({"a.csv": b"id,name,\n1,Ada,1\n"}, "rejected: column 3 of the header"),
    "reserved_name": Case({"a.csv": b"id,name,_row\n1,Ada,1\n"}, "rejected: column _row"),
    "other_suffix": Case({"a.txt": GOOD}, "rejected: given the suffix .txt"),
    "no_suffix": Case({"a": GOOD}, "rejected: given the suffix none"),
    "sub_folder": Case({"year=2013/a.csv": GOOD, "deep/er/b.csv": GOOD}, OK),
    "odd_names": Case({"a b.csv": GOOD, "[x]{1}*?%20é,.csv": GOOD}, OK),
    "hidden": Case({"_a.csv": GOOD, ".b.csv": GOOD, "_c/d.csv": GOOD, "_e=f.csv": GOOD}, NOTHING),
    "byte_order_mark": Case({"a.csv": b"\xef\xbb\xbf" + GOOD}, OK),
    "quoted": Case({"a.csv": b'id,name,note\r\n1,"A ""x"",\ny",""\r\n'}, OK),
    "gzip": Case({"a.csv.gz": gzip.compress(GOOD, mtime=0)}, OK),
    "bzip2": Case({"a.csv.bz2": bz2.compress(GOOD)}, OK),
    "zstd": Case({"a.csv.zst": pa.Codec("zstd").compress(GOOD, asbytes=True)}, OK),
    "corrupt_gzip": Case({"a.csv.gz": b"\x1f\x8bno"}, "rejected: the file is not valid gzip"),
    "json_lines": Case({"a.jsonl": _lines({"id": 1, "name": "Ada"}, {"id": 2, "name": None})}, OK),
    "bad_json": Case({"a.jsonl": b'{"id": 1,\n'}, "rejected: line 1 is not JSON"),
    "parquet": Case({"a.parquet": _parquet({"id": [1, None], "name": ["Ada", "Bob"]})}, OK),
    "corrupt_parquet": Case({"a.parquet": b"PAR1"}, "rejected: the file is not readable Parquet"),
    "missing_required": Case({"a.csv": b"id,note\n1,x\n"}, "rejected: given the columns id, note"),
    "missing_optional": Case({"a.csv": b"id,name\n1,Ada\n"}, OK),
    "unknown_column": Case({"a.csv": b"id,name,extra,note\n1,Ada,x,y\n"}, OK),
    "unknown_columns": Case(
        {"a.csv": GOOD, "b.csv": b"id,z,name\n3,1,C\n", "c.csv": b"a,z,id,name\n1,2,4,D\n"}, OK
    ),
    "former_name": Case({"a.csv": b"id,full_name\n1,Ada\n"}, OK),
    "renamed_column": Case({"a.csv": b"id,nam,note\n1,Ada,x\n"}, "rejected: given the columns id"),
    "one_bad_of_three": Case(
        {"a.csv": GOOD, "b.csv": b"id\n1\n", "c.csv": GOOD}, "ingested; rejected"
    ),
    "other_bytes": Case({"a.csv": GOOD}, OK, {"a.csv": GOOD.replace(b"Bob", b"Ben")}, "changed"),
    "touched": Case({"a.csv": GOOD}, OK, {"a.csv": GOOD}),
    "mended": Case({"a.csv": b"id\n1\n"}, "rejected: given the columns id", {"a.csv": GOOD}, OK),
    "removed": Case({"a.csv": b"id\n1\n"}, "rejected: given the columns id", {"a.csv": None}),
}


ALONE: dict[str, Mapping[str, bytes]] = {
    "nothing": {},
    "only_a_header": {"a.csv": b"id,name,note\n"},
    "only_a_rejected_file": {"a.csv": b"id\n1\n"},
    "a_new_column_first": {"a.csv": b"x,id,y,name\n1,2,3,Ada\n"},
}


def dump(root: Path) -> dict[str, Any]:
    """What `ops.files` and bronze have after each run, and what the ingest says."""
    tables = Tables("matrix", SCHEMAS)
    everything = {
        f"{name}/{file}": content
        for name, case in CASES.items()
        for file, content in case.files.items()
    }
    later = {
        f"{name}/{file}": content
        for name, case in CASES.items()
        for file, content in case.later.items()
    }
    found = {}
    for source, files in {"first_load": everything, "later_load": everything, **ALONE}.items():
        folder = root / "data/matrix" / source
        folder.mkdir(parents=True)
        run = _runner(tables, source, folder)
        if source == "later_load":
            _land(folder, {"0-good.csv": GOOD})
            run()
        _land(folder, files)
        found[f"{source}, landed"] = _state(tables, source, run())
        _land(folder, later if len(files) == len(everything) else {})
        found[f"{source}, again"] = _state(tables, source, run())
    return found


def outcomes(state: Mapping[str, Any]) -> dict[str, str]:
    """The outcome of each case, from one of the states of `dump`."""
    found: dict[str, dict[str, None]] = {name: {} for name in CASES}
    for file, status, reason, *_ in state["files"]:
        name = file.partition("/")[0]
        if name in found:
            found[name][f"{status}: {reason}" if reason else status] = None
    return {name: "; ".join(texts) or NOTHING for name, texts in found.items()}


def table(dumps: Mapping[str, Mapping[str, Any]]) -> str:
    """The outcomes as a Markdown table: a row for each case, a column for each load and engine."""
    loads = {
        f"{load}, {engine}": outcomes(dumps[engine][f"{load}_load, landed"])
        for load in ("first", "later")
        for engine in dumps
    }
    lines = [f"| case | {' | '.join(loads)} |", f"|---|{'---|' * len(loads)}"]
    lines += [f"| {case} | {' | '.join(loads[load][case] for load in loads)} |" for case in CASES]
    return "\n".join(lines)


def _runner(tables: Tables, source: str, folder: Path) -> Callable[[], Ingested]:
    at = {n: tables._at(n) for n in (f"bronze.{source}", "ops.files", "ops.arrivals")}
    return lambda: ingest.ingest(tables.spark, tables._store, CONTRACT, source, str(folder), at)


def _land(folder: Path, files: Mapping[str, bytes | None]) -> None:
    for name, content in files.items():
        file = folder / name
        if content is None:
            file.unlink()
            continue
        before = file.stat().st_mtime if file.exists() else time.time() - 3600
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
        os.utime(file, (before + 60, before + 60))


def _state(tables: Tables, source: str, ingested: Ingested) -> dict[str, Any]:
    files = []
    if tables.exists("ops.files"):
        columns = ["file", "status", "reason", "added", "missing", "rows", "bytes", "digest"]
        rows = tables.read("ops.files").where(f"source = '{source}'").select(*columns)
        files = sorted([list(row) for row in rows.collect()])
    bronze = tables.read(f"bronze.{source}")
    rows = bronze.drop("_loaded_at", "_arrived_at")
    arrived = bronze.selectExpr("unix_micros(_arrived_at) % 1000 AS rest")
    return {
        "files": files,
        "columns": bronze.dtypes,
        "bronze": sorted(json.dumps(list(row)) for row in rows.collect()),
        "said": list(ingested.lines()),
        "change": str(ingested.change),
        "microseconds": [row.rest for row in arrived.distinct().collect()],
    }
