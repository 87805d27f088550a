"""Faults of the lakehouse: contracts, landing files, the engine, silver, gold and their account."""

from __future__ import annotations

from mutants.faults import PROJECT, Fault

_TESTS = "tests/project/test_project.py::test_the_default_project_passes_its_own_tests"
UNIT, PIPELINE = f"{_TESTS}[tests/unit]", f"{_TESTS}[tests/pipeline]"
_YEAR = "tests/project/test_year.py::test_every_figure_of_gold_equals_an_independent_calculation"
_CHECKS = "tests/project/test_project.py::test_a_project_passes_its_own_lint_and_types"


def _source(name: str, file: str, old: str, new: str, test: str = UNIT) -> Fault:
    return Fault(name, f"{PROJECT}/src/lakehouse/{file}", old, new, test)


# fmt: off
LAKEHOUSE_FAULTS = [
    _source("a syntax error", "flights/tasks.py", "def gold(", "def gold((", _CHECKS),
    _source(
        "a type error",
        "refine.py",
        "return Refined(tuple(changes), run)",
        "return Refined(changes, 1)",
        _CHECKS,
    ),
    # Two domains.
    _source("another domain's table is one of this", "engine/tables.py", "return (self.of(domain), rest) if is_other else (self, name)", "return (self, rest) if is_other else (self, name)"),
    _source("another domain's table is written", "engine/tables.py", "        if self.split(name)[0] is not self:", "        if False:"),
    _source("a rebuild of another domain is unseen", "runs.py", 'tables.find(f"{domain}{TABLE}"', "tables.find(TABLE"),
    # Contracts.
    _source(
        "a partition beside the key",
        "contract.py",
        "if partition and partition not in key:",
        "if False:",
    ),
    _source("two columns of one name", "contract.py", ".count(column) > 1:", ".count(column) > 2:"),
    _source(
        "jobs accept two rules of one name", "contract.py", "        if name in rules:", "        if False:"
    ),
    _source("any severity", "contract.py", "if severity not in get_args(OnFailure):", "if False:"),
    _source(
        "a digest without rules",
        "contract.py",
        "self.partition, repr(self.rules)]",
        "self.partition]",
    ),
    # Landing files.
    _source("repeated headers pass", "engine/files.py", "    if repeated:\n", "    if False:\n"),
    _source(
        "columns without a name pass",
        "engine/files.py",
        "        if not name:\n",
        "        if False:\n",
    ),
    _source("reserved names pass", "engine/files.py", 'if name.startswith("_"):', "if False:"),
    _source(
        "quoted empty text is NULL",
        "engine/files.py",
        "quoted_strings_can_be_null=False",
        "quoted_strings_can_be_null=True",
    ),
    _source(
        "missing required columns pass",
        "engine/landing.py",
        "if column in required or policy.missing",
        "if policy.missing",
    ),
    _source(
        "missing columns are never refused",
        "engine/landing.py",
        'or policy.missing == "refuse"]',
        "]",
    ),
    _source(
        "unknown columns are never refused",
        "engine/landing.py",
        'if added and policy.unknown == "refuse":',
        "if False:",
    ),
    _source(
        "other types are never refused",
        "engine/landing.py",
        'if policy.other_type == "refuse":',
        "if False:",
    ),
    _source(
        "former names are unknown",
        "engine/landing.py",
        "and column.name not in names:",
        "and False:",
    ),
    _source("a rename is not guessed", "engine/landing.py", 'f"{_renaming(lacking, added)}"', '""'),
    _source(
        "new columns are lost",
        "engine/landing.py",
        "*(name for name in rows.column_names if name not in own)",
        "*()",
    ),
    _source(
        "files are ingested again",
        "engine/ingest.py",
        "if seen is None or (arrival",
        "if True or (arrival",
    ),
    _source(
        "rejected files are never tried again",
        "engine/ingest.py",
        "return seen.status == REJECTED and seen.contract != contract.digest",
        "return False",
    ),
    _source(
        "edited files go unnoticed",
        "engine/ingest.py",
        "same = found.digest == seen.digest",
        "same = True",
    ),
    _source(
        "an interrupted ingest doubles rows",
        "engine/ingest.py",
        "loaded = {file.name: interrupted.get(file.name, loaded_at)",
        "loaded = {file.name: loaded_at",
    ),
    _source(
        "hidden files are read",
        "engine/arrivals.py",
        'any(part[:1] in {".", "_"} for part in name.split("/"))',
        "False",
    ),
    # Tables.
    _source(
        "replace always writes",
        "engine/tables.py",
        "        if inserted or deleted:\n",
        "        if True:\n",
    ),
    _source(
        "merges delete",
        "engine/tables.py",
        "return self._merged(name, rows, key, delete=False)",
        "return self._merged(name, rows, key, delete=True)",
    ),
    _source(
        "keys that are gone stay",
        "engine/tables.py",
        "return self._merged(name, rows, key, delete=True)",
        "return self._merged(name, rows, key, delete=False)",
    ),
    _source("NULL keys double", "engine/stores.py", "IS NOT DISTINCT FROM", "="),
    _source("a NULL change is missed", "engine/stores.py", "IS DISTINCT FROM", "<>"),
    _source(
        "a version for nothing",
        "engine/stores.py",
        "merger.when_matched_update_all(predicate=differs)",
        "merger.when_matched_update_all()",
    ),
    _source(
        "columns beside the contract are written",
        "engine/tables.py",
        "if given != contract.types:",
        "if False:",
    ),
    _source(
        "paths with spaces", "engine/stores.py", "_PLAIN_PATH.fullmatch(str(folder))", "str(folder)"
    ),
    _source("two runs at once", "engine/stores.py", "fcntl.flock(file, fcntl.LOCK_EX)", "pass"),
    _source("local time", "engine/session.py", '"UTC"', '"America/New_York"'),
    # Silver.
    _source("dedupe dropped", "quality.py", '.where("_rank = 1")', '.where("_rank >= 1")'),
    _source(
        "the oldest row wins",
        "quality.py",
        "[F.col(name).desc() for name in ORIGIN]",
        "[F.col(name).asc() for name in ORIGIN]",
    ),
    _source(
        "quarantine dropped",
        "quality.py",
        'checked.where("_failed IS NOT NULL")',
        'checked.where("false")',
    ),
    _source(
        "NULL passes a rule", "quality.py", "F.lit(False)), rule.name", "F.lit(True)), rule.name"
    ),
    _source(
        "rows without a key are valid",
        "quality.py",
        "if c.required or c.name in contract.key]",
        "if False]",
    ),
    _source(
        "unreadable text is forgotten", "quality.py", "_joined(broken).alias", "_joined([]).alias"
    ),
    _source("a warning quarantines", "quality.py", "if rule.on_failure == on_failure", "if True"),
    _source(
        "an older report replaces a newer one",
        "quality.py",
        "newer = (a > b) | ((a == b) & newer)",
        "newer = a.isNotNull() | b.isNull()",
    ),
    _source("an unbalanced account passes", "refine.py", "if not run.balanced:", "if False:"),
    _source(
        "quarantine is judged once",
        "refine.py",
        "return new.unionByName(earlier, allowMissingColumns=True)",
        "return new",
    ),
    _source(
        "a changed contract is ignored", "refine.py", "if last.contract != digest:", "if False:"
    ),
    _source(
        "replaced rows are forgotten",
        "refine.py",
        "older.unionByName(late).unionByName(replaced)",
        "older.unionByName(late)",
    ),
    _source(
        "an interrupted rebuild is done", "refine.py", "if last.rebuilt == runs.BEGUN:", "if False:"
    ),
    # Evolution.
    _source(
        "every version drops columns",
        "evolution.py",
        "_major(contract.version) > _major(last.version)",
        "contract.version != last.version",
    ),
    _source(
        "no version drops columns", "refine.py", "drop_columns=drop)", "drop_columns=False)"
    ),
    _source("gold drops no column", "rollup.py", "drop_columns=drop)", "drop_columns=False)"),
    _source("version 10 is before 2", "evolution.py", r'r"\d+"', r'r"\d"'),
    _source(
        "what a contract no longer says stays",
        "evolution.py",
        "for statement in (*undone, *done):",
        "for statement in done:",
    ),
    _source(
        "what is on a table is recorded each time",
        "evolution.py",
        "if known == digest:",
        "if False:",
    ),
    _source(
        "jobs add a key to another one", "evolution.py", "undo not in now or undo in other", "undo not in now"
    ),
    _source("other names of types are refused", "contract.py", "_OTHER_NAMES.get(word[0], word[0])", "word[0]"),
    _source(
        "a replaced table gets no comments",
        "evolution.py",
        "if last is not None and not replaced",
        "if last is not None",
    ),
    _source(
        "all statements for one comment",
        "evolution.py",
        "runs.last_applied(tables, run.table) if known else {}",
        "{}",
    ),
    _source(
        "a rebuild that stops is not known to another release",
        "refine.py",
        "    runs.begin(tables, last, moment)\n",
        "",
    ),
    _source(
        "a rebuild of gold that stops is not known",
        "rollup.py",
        "        runs.begin(tables, last, started)\n",
        "",
    ),
    _source(
        "a quote ends a comment", "evolution.py", """.replace("'", "\\\\'")""", ""
    ),
    _source(
        "a column that came later stops an earlier release",
        "engine/tables.py",
        "return rows.select(*contract.types, *own, *kept)",
        "return rows.select(*contract.types, *own)",
    ),
    _source(
        "what another process writes is not seen",
        "engine/stores.py",
        ":020}.json\").exists():",
        ":020}.json\").exists() and False:",
    ),
    _source(
        "files that were merged stay in memory",
        "engine/stores.py",
        "concat_tables(self._read[at].values()",
        "concat_tables((before | self._read[at]).values()",
    ),
    _source(
        "small tables are not found in some folders",
        "engine/stores.py",
        'self._delta(at).get_add_actions()["path"].to_pylist()',
        "self._delta(at).file_uris()",
    ),
    _source(
        "columns without statistics have no newest time",
        "engine/stores.py",
        "return None if None in latest.values() else latest",
        "return {f: m for f, m in latest.items() if m is not None}",
    ),
    _source(
        "newer rows are looked for in older files",
        "engine/stores.py",
        "for f, moment in latest.items() if moment > after]",
        "for f, moment in latest.items() if moment < after]",
    ),
    _source("times are finer than Delta's statistics", "engine/times.py", "// 1000 * 1000", "// 1"),
    _source(
        "the clock goes back", "engine/times.py", "max(_whole(datetime.now(UTC)), _whole(after) + _TICK)",
        "_whole(datetime.now(UTC))",
    ),
    _source(
        "quarantine is judged in each run",
        "refine.py",
        "    if known and not contract.depends_on_time:",
        "    if False:",
    ),
    _source(
        "quarantine does not wait for what is looked up",
        "refine.py",
        "last.followed == followed",
        "last.followed",
    ),
    _source(
        "quarantine does not wait for tables that nobody named",
        "refine.py",
        "looked_up = follows if prepare else ()",
        "looked_up = follows or ()",
    ),
    _source(
        "time releases no row",
        "refine.py",
        "    if known and not contract.depends_on_time:",
        "    if known:",
    ),
    _source(
        "a batch replaces the whole quarantine",
        "refine.py",
        "rows.unionByName(others, allowMissingColumns=True)",
        "rows",
    ),
    _source(
        "old rows leave quarantine with a batch",
        "refine.py",
        "runs.START if due.again else due.since",
        "runs.START",
    ),
    _source(
        "more is held than a plan may have",
        "engine/stores.py",
        "_HELD = 32 *",
        "_HELD = 64 *",
    ),
    _source(
        "many rows are in one file",
        "engine/stores.py",
        "target_file_size=_FILE_SIZE",
        "target_file_size=None",
    ),
    _source(
        "any row of a table is the last run",
        "engine/stores.py",
        'sort_by([(newest, "descending")])',
        'sort_by([(newest, "ascending")])',
    ),
    _source(
        "a folder has other types", "engine/stores.py", "spark_type(field.type.type)", "field.type.type"
    ),
    _source(
        "a retried file has two rows in the account",
        "engine/ingest.py",
        "if any(seen.file in known for seen in judged):",
        "if False:",
    ),
    _source(
        "small files stay",
        "engine/stores.py",
        "            table.optimize.compact()\n",
        "",
    ),
    _source(
        "a rebuild takes each key for unique",
        "refine.py",
        "unique = quality.has_unique_keys(rows, contract)",
        "unique = True",
    ),
    _source(
        "a primary key stops other columns",
        "engine/stores.py",
        'if mode == "replace" and self.exists(at):',
        "if False:",
    ),
    # Gold.
    _source(
        "gold keeps old days",
        "rollup.py",
        "    for name in _with_superseded(gold.source):",
        "    for name in (gold.source,):",
    ),
    _source(
        "gold keeps old names",
        "rollup.py",
        "    for name in gold.follows:\n",
        "    for name in ():\n",
    ),
    _source(
        "gold waits for the next load",
        "rollup.py",
        "last.up_to if last else runs.START)\n",
        "last.started_at if last else runs.START)\n",
    ),
    _source(
        "late weather is ignored",
        "rollup.py",
        "    for source, days_of in gold.also.items():",
        "    for source, days_of in ():",
    ),
    _source(
        "an audit that sees nothing",
        "audit.py",
        "return not (self.missing or self.unexpected)",
        "return True",
    ),
    _source(
        "superseded rows are not audited",
        "audit.py",
        "judged.older.select(FILE, ROW))",
        'tables.read(f"silver.{source}_superseded").select(FILE, ROW))',
    ),
    # The sample.
    _source(
        "late from the sixteenth minute",
        "flights/transform.py",
        "_LATE_MINUTES = 15",
        "_LATE_MINUTES = 16",
    ),
    _source(
        "cancelled by arrival",
        "flights/transform.py",
        'F.col("dep_time").isNull()',
        'F.col("arr_delay").isNull()',
    ),
    _source("fog from four miles", "flights/transform.py", '"visib") < 3', '"visib") < 4'),
    _source(
        "a missing month is January",
        "flights/transform.py",
        "concat(year, '-', lpad(month, 2, '0'), '-', lpad(day, 2, '0'))",
        "concat_ws('-', year, month, day)",
    ),
    _source(
        "unknown destinations pass",
        "flights/contracts/silver.flights.yml",
        "implementation: dest_name IS NOT NULL",
        "implementation: 'true'",
        PIPELINE,
    ),
    _source(
        "tail numbers quarantine",
        "flights/contracts/silver.flights.yml",
        "severity: warn",
        "severity: quarantine",
        PIPELINE,
    ),
    _source(
        "gold forgets routes",
        "flights/tasks.py",
        '            "gold.routes",\n',
        '            "gold.punctuality",\n',
        PIPELINE,
    ),
    _source(
        "a source without a word",
        "flights/tasks.py",
        "str(refined.run) for refined in done",
        "str(refined.run) for refined in done[-1:]",
        PIPELINE,
    ),
    _source(
        "rejected files without a word",
        "flights/tasks.py",
        "for line in ingested.lines()]",
        "for line in ()]",
        PIPELINE,
    ),
    _source(
        "transformations that write",
        "flights/transform.py",
        "    utc = F.to_date",
        "    weather.write\n    utc = F.to_date",
    ),
    _source(
        "impossible winds pass",
        "flights/contracts/silver.weather.yml",
        "BETWEEN 0 AND 250",
        "BETWEEN 0 AND 2500",
    ),
    _source(
        "a gold figure is wrong",
        "flights/transform.py",
        'F.col("precip") > 0',
        'F.col("precip") > 0.01',
        _YEAR,
    ),
    Fault(
        "a changed sample",
        f"{PROJECT}/data/flights/landing/airlines/2013.csv",
        "Envoy Air",
        "Envoy Air Inc.",
        "tests/project/test_year.py::test_the_shipped_sample_is_the_real_data",
    ),
]
