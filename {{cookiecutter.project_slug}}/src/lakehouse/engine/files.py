"""Reads one landing file: bytes to rows of text. The same function runs on every engine.

On a laptop it is called directly, on Spark in the workers. So a file has the same outcome
everywhere, which the readers of the engines would not guarantee: they differ in what they do with a
row that is too long, a repeated header or invalid UTF-8.
"""

import csv
import io
import json
import re
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pyarrow as pa

COMPRESSIONS = {".gz": "gzip", ".bz2": "bz2", ".zst": "zstd"}
_JSON_LINES = (".jsonl", ".ndjson", ".json")
EXPECTED = ".csv, .jsonl, .ndjson, .json or .parquet, which may be followed by .gz, .bz2 or .zst"
_BLOCK = 16 * 1024 * 1024  # bytes of CSV that are read at once; a row may not have more
ROW = "_row"  # the number of the row in its file, from 1


class UnreadableFileError(ValueError):
    """A file that is refused as it is; the message says why."""


def parse(name: str, content: bytes) -> "pa.Table":
    """The rows of a file: its columns as text, in their order, and `_row`.

    Names of columns are in lower case, because tables do not distinguish case. Empty fields are
    NULL; quoted empty fields are empty text.

    Raises:
        UnreadableFileError: the file is empty, has another suffix, or is not well-formed.
    """
    import pyarrow as pa

    suffixes = PurePosixPath(name.lower()).suffixes
    content = _uncompressed(content, suffixes)
    suffix = suffixes[-1] if suffixes else ""
    if not content:
        raise UnreadableFileError("the file is empty, expected at least a header")
    if suffix == ".csv":
        table = _csv(content)
    elif suffix in _JSON_LINES:
        table = _json_lines(content)
    elif suffix == ".parquet":
        table = _parquet(content)
    else:
        raise UnreadableFileError(f"given the suffix {suffix or 'none'}, expected {EXPECTED}")
    table = table.rename_columns(_names(table.column_names))
    return table.append_column(ROW, pa.array(range(1, table.num_rows + 1), pa.int64()))


def _uncompressed(content: bytes, suffixes: list[str]) -> bytes:
    import pyarrow as pa

    if not suffixes or suffixes[-1] not in COMPRESSIONS:
        return content
    compression = COMPRESSIONS[suffixes.pop()]
    try:
        return bytes(pa.input_stream(pa.py_buffer(content), compression=compression).read())
    except (OSError, pa.ArrowException) as error:
        raise UnreadableFileError(f"the file is not valid {compression}: {error}") from None


def _names(given: list[str]) -> list[str]:
    names = [_name(name) for name in given]
    for position, name in enumerate(names, 1):
        if not name:
            raise UnreadableFileError(f"column {position} of the header has no name")
        if name.startswith("_"):
            raise UnreadableFileError(f"column {name}: names that begin with _ are reserved")
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        raise UnreadableFileError(f"the header has {', '.join(repeated)} more than once")
    return names


def _name(given: str) -> str:
    """A name that Delta allows and SQL can quote: other characters become an underscore."""
    return re.sub(r"[\s\0,;{}()=.`\"]+", "_", given.strip().lower())


def _csv(content: bytes) -> "pa.Table":
    import pyarrow as pa
    from pyarrow import csv as arrow_csv

    try:
        content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise UnreadableFileError("the file is not UTF-8") from None
    header = _header(content)
    if content.count(b'"') % 2:
        _check_quotes(content)
    numbers = [str(number) for number in range(len(header))]  # pyarrow merges repeated names

    def read(use_threads: bool) -> "pa.Table":
        return arrow_csv.read_csv(
            pa.py_buffer(content if content.endswith(b"\n") else content + b"\n"),
            read_options=arrow_csv.ReadOptions(
                column_names=numbers, block_size=_BLOCK, use_threads=use_threads
            ),
            parse_options=arrow_csv.ParseOptions(newlines_in_values=True),
            convert_options=arrow_csv.ConvertOptions(
                column_types=dict.fromkeys(numbers, pa.string()),
                strings_can_be_null=True,
                quoted_strings_can_be_null=False,
                null_values=[""],
            ),
        )

    try:
        try:
            table = read(use_threads=True)
        except pa.ArrowInvalid:
            table = read(use_threads=False)  # only then the error has the number of the row
    except pa.ArrowInvalid as error:
        raise UnreadableFileError(_reason(str(error))) from None
    return table.slice(1).rename_columns(header)  # the first row is the header


def _check_quotes(content: bytes) -> None:
    """Refuse a file whose last quote is not closed: all rows after it would be one field."""
    text = io.TextIOWrapper(io.BytesIO(content), "utf-8-sig", newline="")
    rows = csv.reader(text, strict=True)
    while True:
        try:
            next(rows)
        except StopIteration:
            return
        except csv.Error as error:
            if "end of data" in str(error):
                raise UnreadableFileError("a quoted field does not end") from None


def _header(content: bytes) -> list[str]:
    text = io.TextIOWrapper(io.BytesIO(content), "utf-8-sig", newline="")
    rows = (row for row in csv.reader(text) if row)  # as pyarrow, without empty lines
    try:
        return next(rows)
    except StopIteration:
        raise UnreadableFileError("the file has no header") from None
    except csv.Error as error:
        raise UnreadableFileError(f"the header is not readable: {error}") from None


def _reason(text: str) -> str:
    """A message of pyarrow without its prefix and the content of the row."""
    found = re.search(r"(?:Row #(\d+): )?Expected (\d+) columns, got (\d+)", text)
    if not found:
        return text.partition("\n")[0]
    row, expected, given = found.groups()
    where = f"row {int(row) - 1}: " if row else ""
    return f"{where}given {given} fields, expected {expected} as in the header"


def _json_lines(content: bytes) -> "pa.Table":
    import pyarrow as pa

    rows: list[dict[str, Any]] = []
    try:
        lines = content.decode("utf-8-sig").split("\n")  # other separators may be part of a text
    except UnicodeDecodeError as error:
        raise UnreadableFileError(f"the file is not UTF-8: {error.reason}") from None
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            row = _fields(line)
        except (ValueError, RecursionError) as error:
            raise UnreadableFileError(f"line {number} is not JSON: {error}") from None
        if row is None:
            raise UnreadableFileError(f'line {number}: expected an object, such as {{"id": 1}}')
        rows.append(row)
    names = dict.fromkeys(name for row in rows for name in row)
    if not names:
        raise UnreadableFileError("no line has a field, expected at least one object")
    columns = [pa.array([row.get(name) for row in rows], pa.string()) for name in names]
    return pa.Table.from_arrays(columns, names=list(names))


def _fields(line: str) -> dict[str, str | None] | None:
    """The fields of one line as text; None if it is not an object."""
    row = json.loads(line, parse_int=str, parse_float=str, object_pairs_hook=_pairs)
    if not isinstance(row, dict):
        return None
    if any(isinstance(value, dict | list) for value in row.values()):
        nested = json.loads(line)  # numbers inside stay numbers
        row = {n: nested[n] if isinstance(v, dict | list) else v for n, v in row.items()}
    found = {name: _text(value) for name, value in row.items()}
    for text in (*found, *found.values()):
        (text or "").encode()  # half of a pair of code units is no text
    return found


def _pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a field is repeated")
    return found


def _text(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _parquet(content: bytes) -> "pa.Table":
    import pyarrow as pa
    from pyarrow import parquet

    try:
        table = parquet.read_table(pa.BufferReader(content))
        return pa.Table.from_arrays(
            [_text_column(column) for column in table.columns], names=table.column_names
        )
    except (pa.ArrowException, OSError) as error:
        raise UnreadableFileError(f"the file is not readable Parquet: {error}") from None


def _text_column(column: "pa.ChunkedArray") -> "pa.ChunkedArray":
    import pyarrow as pa
    from pyarrow import types

    if types.is_nested(column.type):
        texts = [
            None if value is None else json.dumps(value, ensure_ascii=False, default=str)
            for value in column.to_pylist()
        ]
        return pa.chunked_array([pa.array(texts, pa.string())])
    return column.cast(pa.string())
