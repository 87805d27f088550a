"""The rule `contract`: what it finds in data contracts, and that nothing in them can stop it."""

import importlib.util
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from copy import deepcopy
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml
from delivery.checks import contract as rule
from delivery.checks.registry import CheckContext, check
from delivery.config.condition import parse_condition
from delivery.config.contract_schema import schema_problems
from delivery.config.contracts import ENGINE
from delivery.errors import Finding
from harness.baking import TEMPLATE
from hypothesis import given, settings
from hypothesis import strategies as st

FLIGHTS = "src/lakehouse/flights"
FOLDER = f"{FLIGHTS}/contracts"
SILVER, LANDING, GOLD = "silver.flights.yml", "landing.flights.yml", "gold.routes.yml"
SAMPLE = sorted((TEMPLATE / FOLDER).glob("*.yml"))
Edit = Callable[[str, str, str], None]


@pytest.fixture
def lake(tmp_path: Path) -> Path:
    """The sample's contracts and the code that adds columns, and nothing else."""
    shutil.copytree(TEMPLATE / FOLDER, tmp_path / FOLDER)
    shutil.copy(TEMPLATE / FLIGHTS / "transform.py", tmp_path / FLIGHTS)
    return tmp_path


@pytest.fixture
def edit(lake: Path) -> Edit:
    """Replace the first occurrence of a text in a contract."""

    def replace(name: str, old: str, new: str) -> None:
        file = lake / FOLDER / name
        text = file.read_text(encoding="utf-8")
        assert old in text
        file.write_text(text.replace(old, new, 1), encoding="utf-8")

    return replace


def found(root: Path) -> list[Finding]:
    return check(CheckContext(root), ["contract"])


def line_of(root: Path, name: str, text: str) -> int:
    """The line of the first occurrence of a text."""
    return (root / FOLDER / name).read_text(encoding="utf-8").partition(text)[0].count("\n") + 1


@pytest.fixture(scope="module")
def jobs() -> ModuleType:
    """What the jobs read contracts with."""
    spec = importlib.util.spec_from_file_location(
        "contract_of_jobs", TEMPLATE / "src/lakehouse/contract.py"
    )
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def test_the_contracts_of_the_sample_have_no_findings(lake: Path) -> None:
    assert found(lake) == []


CARRIER = "      - name: carrier\n        logicalType: string"
POSITIVE = "        implementation: distance > 0"
KEY = "        primaryKeyPosition: 2"


MISTAKES = [
    # What the standard says.
    (SILVER, "logicalType: string", "logicalTpye: string", "logicalTpye",
     "column carrier: logicalTpye: unknown key, expected logicalType",
     "Rename it to logicalType."),
    (SILVER, "status: active", "staus: active", "staus",
     "staus: unknown key, expected status", "Rename it to status."),
    (SILVER, "  purpose: One", "  zzzzzz: 1\n  purpose: One", "", "", ""),  # allowed here
    (SILVER, "        description: Two", "        zzzzzz: 1\n        description: Two", "zzzzzz",
     "column carrier: zzzzzz: unknown key, expected one of the standard", "Remove it; keys are "),
    (SILVER, "logicalType: string", "logicalType: strin", "logicalType: strin",
     "column carrier: logicalType: given 'strin', expected one of string, date, timestamp, time, "
     "number, integer, object, array, boolean, map or vector", "Write logicalType: string"),
    (SILVER, CARRIER, "      - name: carrier", "      - name: carrier",
     "column carrier: logicalType: given none, expected one of string, ",
     "Add logicalType: string"),
    (SILVER, "id: flights.silver.flights\n", "", "apiVersion",
     "id: given none, expected one", "Add id: flights.silver.flights"),
    (SILVER, "version: 1.0.0", "version: 1.0", "version: 1.0",
     "version: given a number, expected a string", 'Quote it: version: "1.0"'),
    (SILVER, "version: 1.0.0", "version: draft", "version: draft",
     "version: given 'draft', expected three numbers", "Jobs compare the first one: a higher one "),
    (SILVER, "version: 1.0.0", "version: v1.0.0", "version: v1.0.0",
     "version: given 'v1.0.0', expected three numbers", "Jobs compare the first one: "),
    (SILVER, "required: true", "required: yes please", "required: yes please",
     "column carrier: required: given a string, expected true or false", "Write required: "),
    (SILVER, "apiVersion: v3.2.0", "apiVersion: v3.2", "apiVersion",
     "apiVersion: given 'v3.2', expected one of v3.2.0, ", "Write apiVersion: v3.2.0"),
    (SILVER, "type: custom", "type: custm", "type: custm",
     "rule known_destination: type: given 'custm', expected one of text, library, sql or custom",
     "Write type: custom"),
    (SILVER, "status: active", "status: active\nteam: {nam: x}", "team:",
     "team.nam: unknown key, expected name", "Rename it to name."),
    (SILVER, "status: active", "status: active\nteam: 3", "team:",
     "team: given a number, expected a mapping or a list", "Write team: "),
    (LANDING, "    path: data", "    pth: data", "    pth",
     "servers[0].pth: unknown key, expected path", "Rename it to path."),
    (LANDING, "    format: csv\n", "    format: csv\n    topic: x\n", "    topic",
     "servers[0].topic: unknown key, expected one of the standard", "Remove it; keys are "),
    (LANDING, "    format: csv\n", "    format: csv\n    host: x\n", "    host",
     "servers[0].host: given, expected not beside these keys and values", "Remove it, or "),
    # What jobs read differently.
    (SILVER, "name: Flights", "name: on", "name: on",
     "name: given on, which jobs read as True", 'Quote it: name: "on"'),
    (SILVER, "purpose: One", "on: x\n  purpose: One", "on: x",
     "description.on: a key that jobs read as another value", 'Quote it: "on"'),
    (SILVER, "name: Flights", "name: 2013-13-01", "apiVersion",
     "jobs cannot read it: month must be in 1..12", "Quote the values that look unusual."),
    # Where the file is.
    (SILVER, "domain: flights", "domain: flight", "domain:",
     "domain: given flight, expected the folder's name, flights", "Write domain: flights"),
    (SILVER, "domain: flights\n", "", "apiVersion",
     "domain: given none, expected the folder's name, flights", "Write domain: flights"),
    (SILVER, "  - name: flights", "  - name: flight", "  - name: flight",
     "schema[0].name: given flight, expected flights, as in the name of the file",
     "Write name: flights, or rename the file: silver.flight.yml"),
    (SILVER, "  - name: flights", "  - name: delays\n  - name: flights", "schema:",
     "schema: given 2 tables, expected one table",
     "Write one file for each table, such as silver.delays.yml"),
    (SILVER, "id: flights.silver.flights", "id: flights.landing.flights", "id:",
     f"id: given flights.landing.flights, as in {FOLDER}/{LANDING}, expected another",
     "Write id: flights.silver.flights"),
    # Columns.
    (SILVER, "- name: air_time", "- name: distance", "- name: distance\n        logicalType: "
     "integer\n        description: Miles", "column distance: name: given twice, first in line 71",
     "Keep one of the two, or rename it."),
    (SILVER, "- name: air_time", "- name: Air time", "- name: Air",
     "column Air time: name: given 'Air time', expected a name in lower case, without spaces or "
     ", ; { } ( ) =, that does not begin with _", "Write name: air_time"),
    (SILVER, "logicalType: string", "logicalType: array", "logicalType: array",
     "column carrier: logicalType: given array, expected string, integer, number, boolean, date "
     "or timestamp, or also a physicalType", "Add physicalType: array<string>"),
    (SILVER, "logicalType: string", "logicalType: array\n        physicalType: array<strin>",
     "physicalType: array", "column carrier: physicalType: given 'array<strin>', expected a type "
     "of Spark", "Write physicalType: string"),
    (SILVER, "        description: Two", "        quality: [{name: x, type: custom, engine: "
     "lakehouse, implementation: a, severity: warn}]\n        description: Two", "quality:",
     "column carrier: quality[0]: given a rule of the jobs, which they read only from the table",
     "Move it to `quality` of the table, beside `properties`."),
    (SILVER, "- name: air_time", "- name: ''", "- name: ''",
     "column : name: given '', expected a name", "Write name: distance"),
    # Keys.
    (SILVER, f"{KEY}\n", "", "primaryKey: true\n      - name: time_hour",
     "column flight: primaryKey: given a primary key without a position, expected "
     "primaryKeyPosition", "Add primaryKeyPosition: 2"),
    (SILVER, KEY, "        primaryKeyPosition: 1", "primaryKeyPosition: 1\n      - name: time",
     "column flight: primaryKeyPosition: given 1, as already in line 14, expected another "
     "position", "Write primaryKeyPosition: 2"),
    (SILVER, "        primaryKey: true\n        primaryKeyPosition: 3\n", "", "partitioned",
     "column time_hour: partitioned: given a column outside of the primary key, expected one of "
     "its columns", "A correction could move a row to another partition"),
    (SILVER, KEY, f"{KEY}\n        partitioned: true", "partitioned: true\n        partitionKey",
     "column time_hour: partitioned: given a second column, expected one: jobs partition by the "
     "first", "Remove partitioned and partitionKeyPosition here."),
    ("silver.airports.yml", "        primaryKey: true\n", "", "  - name: airports",
     "schema[0]: given no primary key, expected one: silver has one row for each key",
     "Add to its columns: primaryKey: true, primaryKeyPosition: 1"),
    # Rules.
    (SILVER, "- name: tail_number", "- name: positive_distance",
     "- name: positive_distance\n        description: Without",
     "rule positive_distance: name: given twice, first in line 85",
     "Keep one of the two, or rename it."),
    (SILVER, "      - name: known_destination\n        description", "      - description",
     "      - description: A route", "rule 1: given a rule without a name",
     "Add name: positive_distance"),
    (SILVER, "severity: quarantine", "severity: drop", "severity: drop",
     "rule known_destination: severity: given drop, expected quarantine or warn",
     "Write severity: quarantine"),
    (SILVER, "severity: quarantine", "severity: warning", "severity: warning",
     "rule known_destination: severity: given warning, expected quarantine or warn",
     "Write severity: warn"),
    (SILVER, "        severity: quarantine\n", "", "      - name: known_destination",
     "rule known_destination: severity: given none, expected quarantine or warn",
     "Write severity: quarantine"),
    (SILVER, f"{POSITIVE}\n", "", "      - name: positive_distance",
     "rule positive_distance: implementation: given none, expected one",
     "Add implementation: distance > 0"),
    (SILVER, POSITIVE, "        implementation: ''", "implementation: ''",
     "rule positive_distance: implementation: given a string, expected a SQL condition",
     "Write implementation: distance > 0"),
    (SILVER, "engine: lakehouse", "engine: lakehose", "engine: lakehose",
     "rule known_destination: engine: given lakehose, expected lakehouse; else jobs do not apply "
     "the rule", "Write engine: lakehouse"),
    # Policies.
    (LANDING, "value: add", "value: ad", "value: ad",
     "property unknownColumns: value: given ad, expected add or refuse", "Write value: add"),
    (LANDING, "value: refuse", "value: null", "value: null",
     "property missingColumns: value: given nothing, expected null or refuse",
     'Write value: "null"'),
    (LANDING, "value: quarantine", "value: 3", "value: 3",
     "property otherTypes: value: given 3, expected quarantine or refuse",
     "Write value: quarantine"),
    (LANDING, "property: otherTypes", "property: otherType", "property: otherType",
     "property otherType: property: given otherType, expected otherTypes; else jobs do not apply "
     "it", "Rename it to otherTypes."),
    (SILVER, "    quality:", "    customProperties: [{property: otherTypes, value: refuse}]\n"
     "    quality:", "customProperties", "property otherTypes: property: given otherTypes, which "
     "only landing has", "Move it to landing.flights.yml"),
    (LANDING, "schema:", "customProperties: [{property: otherTypes, value: refuse}]\nschema:",
     "customProperties", "customProperties[0].property: given at the document, where jobs do not "
     "read it, expected at the table", "Move it to customProperties of the table"),
    (LANDING, "property: otherTypes", "property: {}", "property: {}",
     "property {}: property: given a mapping, expected a string", "Write property: "),
    # Conditions.
    (SILVER, "distance > 0", "distanse > 0", "implementation: distanse",
     "rule positive_distance: implementation: unknown column distanse at character 1, expected "
     "distance", "Write distance. A column only for rules is added by "
     f"{FLIGHTS}/transform.py, withColumn('distanse', …)."),
    (SILVER, "distance > 0", "|\n          distance > 0\n          AND air_tim > 0",
     "implementation: |\n          distance", "rule positive_distance: implementation: unknown "
     "column air_tim at line 2, character 5, expected air_time", "Write air_time."),
    (SILVER, "distance > 0", "distance > > 0", "implementation: distance",
     "rule positive_distance: implementation: given 'distance > > 0', which is not a condition: "
     "character 12, near '>'", "Write one such as implementation: carrier IS NOT NULL"),
    (SILVER, "distance > 0", "distance >", "implementation: distance",
     "rule positive_distance: implementation: given 'distance >', which is not a condition: "
     "character 10, near '>': something is missing", "Write one such as"),
    (SILVER, "distance > 0", "sum(distance) > 0", "implementation: sum",
     "rule positive_distance: implementation: given 'sum(distance) > 0', which is not a "
     "condition: given the aggregate SUM(distance), expected a condition about one row",
     "Write one such as"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "old", "new", "place", "message", "hint"), MISTAKES)
def test_a_mistake_is_told_with_its_line_and_an_example(
    lake: Path, edit: Edit, name: str, old: str, new: str, place: str, message: str, hint: str
) -> None:
    edit(name, old, new)
    if not message:
        assert found(lake) == []
        return
    (finding,) = found(lake)
    assert (finding.file, finding.rule) == (f"{FOLDER}/{name}", "contract")
    assert finding.message.startswith(message)
    assert finding.hint.startswith(hint)
    assert finding.line == line_of(lake, name, place)
    assert finding.severity == "error"


def test_columns_that_differ_by_case_are_one_column_to_tables(lake: Path, edit: Edit) -> None:
    edit(SILVER, "- name: air_time", "- name: Distance")
    assert [finding.message.partition(": given")[0::2] for finding in found(lake)] == [
        ("column Distance: name", " 'Distance', expected a name in lower case, without spaces or , "
         "; { } ( ) =, that does not begin with _"),
        ("column distance: name", " twice, first in line 71"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("given", "hint"),
    [
        ("bronce.flights.yml", "rename it to silver.flights.yml"),
        ("sliver.flights.yml", "rename it to silver.flights.yml"),
        ("silver.flights.yaml", "rename it to silver.flights.yml"),
        ("silver.yml", "rename it to silver.flights.yml"),
        ("silver.a b.yml", "rename it to silver.a b.yml"),
    ],
)
def test_a_file_that_jobs_do_not_read_is_told(lake: Path, given: str, hint: str) -> None:
    (lake / FOLDER / given).write_text("id: x\n", encoding="utf-8")
    (finding,) = found(lake)
    assert str(finding).startswith(
        f"{FOLDER}/{given}:1: given {given}, expected LAYER.TABLE.yml\n"
        "    Jobs do not read it. Layers are landing, silver or gold; "
    )
    assert finding.hint.endswith(hint) or " " in given


def test_other_files_may_be_beside_contracts(lake: Path) -> None:
    for name in ("README.md", ".DS_Store", "notes.txt"):
        (lake / FOLDER / name).write_text("x", encoding="utf-8")
    assert found(lake) == []


def test_a_file_that_is_no_yaml_hides_no_other_and_is_not_missing(lake: Path, edit: Edit) -> None:
    edit(SILVER, "schema:", "schema: [")
    edit(LANDING, "value: add", "value: ad")
    assert [(f.file, f.rule) for f in found(lake)] == [
        (f"{FOLDER}/{LANDING}", "contract"), (f"{FOLDER}/{SILVER}", "yaml"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("gone", "left"),
    [
        ("silver.airlines", "landing.airlines"),
        ("landing.airlines", "silver.airlines"),
    ],
)
def test_landing_without_silver_is_a_warning(lake: Path, gone: str, left: str) -> None:
    (lake / FOLDER / f"{gone}.yml").unlink()
    (finding,) = found(lake)
    assert str(finding) == (
        f"{FOLDER}/{left}.yml:1: warning: given {left} without {gone}, expected both\n"
        f"    Add {FOLDER}/{gone}.yml, or remove this file."
    )


def test_a_rule_that_no_job_applies_is_a_warning(lake: Path, edit: Edit) -> None:
    rule = (
        "{name: x, type: custom, engine: lakehouse, severity: warn, implementation: dest IS NULL}"
    )
    edit(GOLD, "    properties:", f"    quality: [{rule}]\n    properties:")
    (finding,) = found(lake)
    assert finding.severity == "warning"
    assert finding.message == (
        "rule x: given a rule for gold, expected one for silver: no job applies it"
    )


@pytest.mark.parametrize(
    "condition",
    [
        "dest_name IS NOT NULL",  # transform.py adds it
        "hour BETWEEN 0 AND 24",  # landed, but not in silver
        "_row > 0",
        "DISTANCE > 0 AND `distance` > 0",
        "exists(split(dest, '-'), part -> part <> '')",
        "date_add(DAY, 1, date) > current_date AND some_function(WEEK, distance)",
        "distance IN (SELECT whatever FROM other)",
        "array(1, 2) IS NOT NULL AND CAST(dest AS array<array<int> >) IS NULL",
        'dest RLIKE r"^[A-Z]" OR dest = "abc"',
        "distance DIV 2 > 1 AND distance <=> 3",
        "distance >> 1 > 0",
    ],
)
def test_a_condition_that_jobs_can_apply_is_accepted(
    lake: Path, edit: Edit, condition: str
) -> None:
    edit(SILVER, "implementation: distance > 0", f"implementation: >-\n          {condition}")
    assert found(lake) == []


def test_what_a_comment_or_a_docstring_says_adds_no_column(lake: Path, edit: Edit) -> None:
    edit(SILVER, "distance > 0", "cancelled AND dest_nam IS NOT NULL")
    file = lake / FLIGHTS / "transform.py"
    for text, expected in (
        ('"""Adds dest_nam."""\n# dest_nam\n', 1),
        ("rows.withColumn('dest_nam', x)\n", 0),
        ("F.expr('1 AS dest_nam')\n", 0),
        ("this is no code (", 0),  # then no column is unknown
    ):
        file.write_text(text, encoding="utf-8")
        found_here = [f for f in found(lake) if "dest_nam " in f.message]
        assert len(found_here) == expected, text


def test_all_mistakes_are_told_at_once(lake: Path, edit: Edit) -> None:
    edit(SILVER, "logicalType: string", "logicalType: strin")
    edit(SILVER, "distance > 0", "distanse > 0")
    edit(SILVER, "severity: warn", "severity: war")
    edit(LANDING, "value: add", "value: ad")
    assert len(found(lake)) == 4


def test_without_contracts_nothing_slow_is_imported(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path;"
        "from delivery.checks.registry import CheckContext, check;"
        "assert check(CheckContext(Path.cwd()), ['contract']) == [];"
        "print({'jsonschema_rs', 'sqlglot', 'pydantic'} & {*sys.modules})"
    )
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "set()\n"), done.stderr


def test_the_tool_and_the_jobs_know_the_same_words(jobs: ModuleType) -> None:
    assert tuple(jobs.SPARK_TYPES) == rule.LOGICAL_TYPES
    assert {*jobs.SPARK_TYPES.values()} <= {*rule.SPARK_TYPES}
    assert jobs.ENGINE == ENGINE
    assert jobs.OnFailure.__args__ == rule.SEVERITIES
    assert {name: known for name, (_, known) in jobs._POLICIES.items()} == rule.POLICIES


def test_the_example_of_the_guide_has_no_findings(lake: Path) -> None:
    page = (TEMPLATE / "docs/contracts.md").read_text(encoding="utf-8")
    (example, _policy) = re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)
    (lake / FOLDER / SILVER).write_text(example, encoding="utf-8")
    assert found(lake) == []


def test_the_guide_shows_what_the_rule_says(lake: Path, edit: Edit) -> None:
    page = (TEMPLATE / "docs/contracts.md").read_text(encoding="utf-8")
    (screen,) = re.findall(r"```console\n\$ .*?\n(.*?)```", page, re.DOTALL)
    edit(SILVER, "logicalType: string", "logicalTpye: string")
    edit(SILVER, "distance > 0", "distanse > 0")
    assert screen == "\n".join(map(str, found(lake))) + "\n"


# --- generated documents ---

VALUES: list[Any] = [
    None, True, 0, -1, 1.5, 10**400, "", "x", "strin", "on", "null", "a > > 0", "\x07", "😀",
    [], {}, [[]], ["x"], {"x": 1}, [{"name": "x"}], {"name": {}},
    [{"name": ["x"], "engine": "lakehouse"}],
]  # fmt: skip
DEEP: Any = []
for _ in range(300):
    DEEP = [DEEP]


def nodes(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The path of each node below the root."""
    entries = value if isinstance(value, dict) else dict(enumerate(value))
    for key, entry in entries.items():
        yield (*path, key)
        if isinstance(entry, dict | list):
            yield from nodes(entry, (*path, key))


def at(value: Any, path: tuple[Any, ...]) -> Any:
    for part in path:
        value = value[part]
    return value


def short(file: Path) -> Any:
    """A contract with few columns and rules, and everything else that may be in one."""
    document = yaml.safe_load(file.read_text(encoding="utf-8"))
    (table,) = document["schema"]
    table["properties"] = table["properties"][:3]
    first = table["properties"][0]
    first |= {"physicalType": "string", "synonyms": [{"synonym": "former"}]}
    table["quality"] = [q | {"implementation": first["name"]} for q in table.get("quality", [])[:2]]
    return document


DOCUMENTS = {
    file.name: short(file) for file in SAMPLE if "flights" in file.name or "gold" in file.name
}
PLACES = [(name, path) for name, document in DOCUMENTS.items() for path in nodes(document)]


@st.composite
def changed(draw: st.DrawFn) -> tuple[str, Any]:
    """A contract of the sample in which one node is removed, renamed or replaced."""
    name, path = draw(st.sampled_from(PLACES))
    document = deepcopy(DOCUMENTS[name])
    parent, key = at(document, path[:-1]), path[-1]
    how = draw(st.sampled_from(["remove", "rename", "replace", "repeat"]))
    if how == "replace":
        parent[key] = draw(st.sampled_from([*VALUES, DEEP]))
    elif how == "remove":
        del parent[key]
    elif isinstance(parent, dict):
        new = draw(st.sampled_from([f"{key}s", str(key)[1:], "zzz", *DOCUMENTS[name]]))
        parent[new] = parent.pop(key)
    else:
        parent.append(deepcopy(parent[key]))
    return name, document


@settings(max_examples=6 * settings().max_examples)
@given(changed())
def test_a_change_is_found_or_is_well_for_the_standard_and_the_jobs(
    tmp_path_factory: pytest.TempPathFactory, jobs: ModuleType, case: tuple[str, Any]
) -> None:
    from open_data_contract_standard.model import OpenDataContractStandard

    name, document = case
    root = tmp_path_factory.getbasetemp() / "changed"
    shutil.rmtree(root, ignore_errors=True)
    (root / FOLDER).mkdir(parents=True)
    shutil.copy(TEMPLATE / FLIGHTS / "transform.py", root / FLIGHTS)
    text = yaml.safe_dump(document, allow_unicode=True, sort_keys=False)
    (root / FOLDER / name).write_text(text, encoding="utf-8")
    findings = found(root)
    assert all(f.message and f.hint and f.file.endswith(name) for f in findings)
    last = text.count("\n") + 1
    assert all(0 <= f.line <= last for f in findings)
    if not schema_problems(document):
        OpenDataContractStandard(**document)  # the schema is never milder than the model
    if not any(f.severity == "error" for f in findings):
        assert schema_problems(document) == []
        jobs.parse_contract(document, name.removesuffix(".yml"), name)


WORDS = [
    *(
        "a",
        "b",
        ".",
        "`",
        "'",
        "1",
        "(",
        ")",
        "[",
        "]",
        ",",
        ";",
        "--",
        "/*",
        "\n",
        "::",
        "->",
        "|",
    ),
    *("<", ">", "=", "AND", "NOT", "IN", "CASE", "WHEN", "SELECT", "INTERVAL", "CAST", "AS"),
]


@settings(max_examples=3 * settings().max_examples)
@given(st.text() | st.lists(st.sampled_from(WORDS)).map(" ".join))
def test_no_text_stops_the_reader_of_conditions(text: str) -> None:
    condition = parse_condition(text)
    assert not (condition.error and condition.columns)
    assert "\x1b" not in condition.error or "\x1b" in text


def test_a_condition_of_too_many_levels_is_no_condition() -> None:
    code = "from delivery.config.condition import parse_condition as p; print(p('('*5000).error)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout == "it cannot be read\n", done.stderr[-500:]


HOSTILE = ["id: &a [*a]\n", 'id: "\\ud800"\n', "- 1\n", "", "id: !x 1\n"]


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_yaml_is_a_finding(lake: Path, text: str) -> None:
    (lake / FOLDER / SILVER).write_text(text, encoding="utf-8")
    assert [f for f in found(lake) if f.file == f"{FOLDER}/{SILVER}"]
