"""SQL files as they are read: statements, parameters and names of tables."""

import pytest
from delivery.local.sql import (
    Names,
    SqlError,
    Statement,
    TableName,
    Write,
    bind,
    localize,
    split,
    with_target,
)

T, U = TableName("c", "s", "t"), TableName("c", "s", "u")


def test_statements_are_split_with_their_lines() -> None:
    text = "-- a; b\nSELECT ';' AS x;\n\nSELECT /* ; */ 2 ;;\nSELECT 3 -- end"
    assert split(text) == [("SELECT ';' AS x", 2), ("SELECT /* ; */ 2", 4), ("SELECT 3", 5)]


def test_a_string_without_an_end_is_told() -> None:
    with pytest.raises(SqlError, match="SQL: "):
        split("SELECT 'x; SELECT 2")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("SELECT :a", "SELECT 'it\\'s'"),
        ("SELECT x=:a, (:b)", "SELECT x='it\\'s', ('\\\\n')"),
        ("SELECT x::int, y:a, z[0]:a, ':a'", "SELECT x::int, y:a, z[0]:a, ':a'"),
        ("SELECT {{a}}", "SELECT 'it\\'s'"),
        ("SELECT '{{ c }}-x', \"{{c}}\"", "SELECT 'cat-x', \"cat\""),
        ("SELECT '{{a}}'", "SELECT 'it\\'s'"),
        ("SELECT * FROM `{{c}}`.s.t -- {{nothing}}", "SELECT * FROM `cat`.s.t -- {{nothing}}"),
        ("SELECT * FROM IDENTIFIER(:c || '.s.t')", "SELECT * FROM cat.s.t"),
        ("SELECT * FROM identifier( 'c.s.t' ) x", "SELECT * FROM c.s.t x"),
    ],
)
def test_parameters_are_strings_of_sql(text: str, expected: str) -> None:
    assert bind(text, {"a": "it's", "b": "\\n", "c": "cat"}) == expected


@pytest.mark.parametrize("text", ["SELECT :b", "SELECT {{b}}", "SELECT '{{b}}'"])
def test_a_parameter_without_a_value_is_told(text: str) -> None:
    with pytest.raises(SqlError, match=r"given .*b.*, expected a parameter of the task: a"):
        bind(text, {"a": "1"})


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("SELECT 1 FROM x.y", Statement("SELECT 1 FROM x.y")),
        ("SELECT * FROM delta.`/a/b.c`", Statement("SELECT * FROM delta.`/a/b.c`")),
        ("SELECT * FROM c.s.t", Statement("SELECT * FROM `c__s__t` AS t", (T,))),
        (
            "SELECT t.a, c.s.u.b FROM c.s.t JOIN c.s.u ON c.s.t.a = u.a",
            Statement(
                "SELECT t.a, u.b FROM `c__s__t` AS t JOIN `c__s__u` AS u ON t.a = u.a", (T, U)
            ),
        ),
        ("SELECT x.a FROM c.s.t AS x", Statement("SELECT x.a FROM `c__s__t` AS x", (T,))),
        (
            "CREATE TEMP VIEW v AS SELECT * FROM c.s.t",
            Statement("CREATE TEMPORARY VIEW v AS SELECT * FROM `c__s__t` AS t", (T,)),
        ),
        ("DESCRIBE c.s.t", Statement("DESCRIBE TABLE `c__s__t`", (T,))),
        (
            "CREATE TABLE c.s.t AS SELECT * FROM c.s.u",
            Statement("SELECT * FROM `c__s__u` AS u", (U,), Write(T, "create")),
        ),
        (
            "CREATE OR REPLACE TABLE c.s.t AS SELECT 1 AS a",
            Statement("SELECT 1 AS a", (), Write(T, "create", exists="replace")),
        ),
        (
            "CREATE TABLE IF NOT EXISTS c.s.t (a INT, b STRING COMMENT 'x') USING delta",
            Statement("", (), Write(T, "create", schema="`a` INT, `b` STRING", exists="keep")),
        ),
        ("INSERT INTO c.s.t VALUES (1)", Statement("VALUES (1)", (), Write(T, "append"))),
        (
            "INSERT INTO c.s.t (b, a) SELECT 1, 2",
            Statement("SELECT 1, 2", (), Write(T, "append", ("b", "a"))),
        ),
        (
            "INSERT OVERWRITE c.s.t SELECT * FROM c.s.t",
            Statement("SELECT * FROM `c__s__t` AS t", (T,), Write(T, "overwrite")),
        ),
        (
            "DELETE FROM c.s.t WHERE a IN (SELECT a FROM c.s.u)",
            Statement(
                "DELETE FROM c.s.t WHERE a IN (SELECT a FROM `c__s__u` AS u)",
                (U,),
                Write(T, "change"),
            ),
        ),
    ],
)
def test_tables_of_a_catalog_are_found(text: str, expected: Statement) -> None:
    assert localize(text, Names()) == expected


@pytest.mark.parametrize(
    "text",
    [
        "OPTIMIZE c.s.t",
        "GRANT SELECT ON TABLE c.s.t TO x",
        "COMMENT ON TABLE c.s.t IS 'x'",
        "create  schema IF NOT EXISTS c.s",
    ],
)
def test_what_has_no_effect_here_does_nothing(text: str) -> None:
    found = localize(text, Names())
    assert (found.text, found.write) == ("", None)
    assert "has no effect here" in found.note


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("DROP TABLE c.s.t", "DROP of c.s.t does not run here"),
        ("TRUNCATE TABLE c.s.t", "of c.s.t does not run here"),
        ("ALTER TABLE c.s.t ADD COLUMN x INT", "ALTER of c.s.t does not run here"),
        ("CREATE VIEW c.s.v AS SELECT 1", "a view in a catalog does not run here: c.s.v"),
        ("CREATE TABLE c.s.t", "CREATE TABLE c.s.t: expected columns"),
        ("SELECT * FROM c.s.t VERSION AS OF 1", "c.s.t: earlier versions of a table"),
    ],
)
def test_what_does_not_work_here_is_refused(text: str, message: str) -> None:
    with pytest.raises(SqlError) as caught:
        localize(text, Names())
    assert message in str(caught.value)


def test_use_decides_what_shorter_names_mean() -> None:
    names = Names(exists=lambda name: name.table != "view")
    assert localize("SELECT * FROM t", names).reads == ()
    assert localize("USE CATALOG c", names).note == "tables are now those of c.default"
    assert localize("SELECT * FROM s.t", names).reads == (T,)
    localize("USE SCHEMA s", names)
    assert localize("SELECT * FROM t", names).reads == (T,)
    assert localize("SELECT * FROM view", names).reads == ()
    assert localize("WITH t AS (SELECT 1) SELECT * FROM t", names).reads == ()
    assert localize("INSERT INTO view SELECT 1", names).write == Write(
        TableName("c", "s", "view"), "append"
    )
    localize("USE d.e", names)
    assert localize("SELECT * FROM t", names).reads == (TableName("d", "e", "t"),)


def test_names_in_code_may_have_quotes() -> None:
    names = Names()
    assert names.parse("`c`.s.`t`") == T
    assert names.parse("delta.`/a/b`") is None
    assert names.parse("s.t") is None


def test_a_statement_changes_the_table_at_its_path() -> None:
    text = with_target("DELETE FROM c.s.t WHERE a = 1", "delta.`/x/y.z`")
    assert text == "DELETE FROM delta.`/x/y.z` WHERE a = 1"
    merge = "MERGE INTO c.s.t AS x USING v ON x.a = v.a WHEN MATCHED THEN DELETE"
    assert with_target(merge, "delta.`/x`").startswith("MERGE INTO delta.`/x` AS x USING v")
