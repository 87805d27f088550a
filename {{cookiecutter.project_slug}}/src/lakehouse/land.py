"""From landing files to bronze: the files of each source, and their account."""

import time
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

from lakehouse import runs
from lakehouse.engine import Ingested, Tables
from lakehouse.runs import Run


def land(tables: Tables, landing: str, sources: Sequence[str]) -> list[Ingested]:
    """Ingest the new files of `<landing>/<source>` into `bronze.<source>`, for each source."""
    done = [_land(tables, f"{landing}/{source}", source) for source in sources]
    runs.record(tables, [run for _, run in done])
    return [ingested for ingested, _ in done]


def _land(tables: Tables, folder: str, source: str) -> tuple[Ingested, Run]:
    begin, name = time.monotonic(), f"bronze.{source}"
    started, before = datetime.now(UTC), tables.version(name)
    ingested = tables.ingest(source, folder)
    accepted = [seen for seen in ingested.files if not seen.reason]
    run = Run(
        name,
        started,
        time.monotonic() - begin,
        inserted=ingested.change.inserted,
        rows=ingested.change.rows,
        rejected_files=len(ingested.waiting),
        columns_added=_columns(seen.added for seen in accepted),
        columns_missing=_columns(seen.missing for seen in accepted),
        version_before=before,
        version_after=tables.version(name),
        contract=tables.contract(f"landing.{source}").digest,
    )
    return ingested, run


def _columns(lists: Iterable[str]) -> str:
    """The columns of all files, each once."""
    names = {name for names in lists for name in names.split(", ") if name}
    return ", ".join(sorted(names))
