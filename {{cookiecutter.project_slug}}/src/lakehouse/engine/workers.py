"""What Spark's workers do with landing files: the same functions that read them on a laptop.

Spark sends this module and those that it uses to the workers by value (`spark_loader.py`).
"""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from lakehouse.contract import Contract
from lakehouse.engine import landing
from lakehouse.engine.arrivals import Arrival, relative

if TYPE_CHECKING:
    import pyarrow as pa

Batches = Iterable["pa.RecordBatch"]
INSPECTED = (
    "file string, digest string, rows bigint, added array<string>, missing array<string>, "
    "refused string"
)
_ROWS = 64 * 1024  # in one batch


def inspector(contract: Contract, folder: str) -> Callable[[Batches], Batches]:
    """A function for `mapInArrow`: from files to one row each, with the columns `INSPECTED`."""

    def inspect(batches: Batches) -> Batches:
        import pyarrow as pa

        texts = pa.list_(pa.string())
        types = [pa.string(), pa.string(), pa.int64(), texts, texts, pa.string()]
        names = [column.split()[0] for column in INSPECTED.split(", ")]
        schema = pa.schema(list(zip(names, types, strict=True)))
        for path, content in _files(batches):
            name = relative(path, folder)
            found, _ = landing.inspect(name, content, contract)
            digest = hashlib.sha256(content).hexdigest()
            row = (name, digest, found.rows, found.added, found.missing, found.refused)
            columns = [pa.array([value], type_) for value, type_ in zip(row, types, strict=True)]
            yield pa.RecordBatch.from_arrays(columns, schema=schema)

    return inspect


def reader(
    contract: Contract,
    folder: str,
    files: Mapping[str, tuple[Arrival, str]],
    columns: Sequence[str],
    loaded_at: datetime,
) -> Callable[[Batches], Batches]:
    """A function for `mapInArrow`: from files to their rows in bronze's `columns`.

    Args:
        files: by name, the file as it arrived and its digest when it was inspected.
    """

    def read(batches: Batches) -> Batches:
        import pyarrow as pa

        for path, content in _files(batches):
            file, digest = files[relative(path, folder)]
            _, rows = landing.inspect(file.name, content, contract)
            if rows is None or hashlib.sha256(content).hexdigest() != digest:
                # Nothing of this commit is written; the next run sees the file's new time.
                raise ValueError(f"{file.name}: changed while it was read; run the job again")
            table = landing.bronze_rows(rows, contract, file, loaded_at)
            for column in columns:
                if column not in table.column_names:
                    table = table.append_column(column, pa.nulls(table.num_rows, pa.string()))
            yield from table.select(columns).to_batches(max_chunksize=_ROWS)

    return read


def _files(batches: Batches) -> Iterator[tuple[str, bytes]]:
    for batch in batches:
        for path, content in zip(batch["path"], batch["content"], strict=True):
            yield path.as_py(), content.as_py()
