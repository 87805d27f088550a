"""Deliberate faults in what plans say of tables, and in what keeps their columns."""

from __future__ import annotations

from mutants.faults import Fault, _tool

_UNIT = "tests/tool/test_tables.py::"
_SCREENS = "tests/tool/test_screens.py::"
_PLAN = "tests/tool/test_plan.py::"
_STORY = "tests/deployments/test_tables.py::"
_GOES = f"{_STORY}test_a_column_comes_and_goes_and_comes_back[fake]"
_BACK = f"{_STORY}test_a_rollback_keeps_columns_until_a_release_names_them[fake]"

_EFFECT = f"{_UNIT}test_a_change_has_an_effect"
_TYPE = f"{_UNIT}test_only_a_type_that_has_every_value_is_wider"
_LANDING = f"{_UNIT}test_texts_that_are_read_otherwise_rewrite_silver"
_BROKEN = f"{_UNIT}test_a_contract_that_cannot_be_read_breaks_no_plan"
_STATEMENTS = f"{_UNIT}test_statements_bring_what_changed_and_nothing_else"
_KEPT = f"{_UNIT}test_a_column_that_a_rollback_kept_is_dropped_by_name_alone"
_JOBS = f"{_UNIT}test_jobs_run_the_statements_that_a_plan_shows"
_MINOR = f"{_UNIT}test_nothing_allows_a_dropped_column_in_a_minor_version"
_OWN = f"{_UNIT}test_a_dropped_column_needs_an_exception_of_its_own"
_ROLLBACK = f"{_UNIT}test_a_rollback_destroys_nothing"
_EACH = f"{_SCREENS}test_a_plan_shows_each_table_with_its_changes_and_statements"


def _seen(name: str, file: str, old: str, new: str, test: str) -> Fault:
    return _tool(name, file, old, new)._replace(test=test)


# fmt: off
TABLES_FAULTS = [
    # What a change is
    _seen("a dropped column is safe", "plan/tables.py", 'yield _Found("destructive", f"column {name} is dropped", name)', 'yield _Found("safe", f"column {name} is dropped", name)', _EFFECT),
    _seen("another key is a rewrite", "plan/tables.py", '_Found("rewrite" if is_rollback else "destructive", f"key', '_Found("rewrite", f"key', _EFFECT),
    _seen("the order of a key does not count", "plan/tables.py", "    if old.key != new.key:", "    if {*old.key} != {*new.key}:", _EFFECT),
    _seen("a removed contract is safe", "plan/tables.py", '_Found("safe" if is_rollback else "destructive", what)', '_Found("safe", what)', f"{_UNIT}test_contracts_come_and_go"),
    _seen("any type is wider", "plan/tables.py", '"safe" if _is_wider(column.type, was.type) else other', '"safe"', _TYPE),
    _seen("digits are taken from before the point", "plan/tables.py", "digits - old_digits >= scale - old_scale >= 0", "digits >= old_digits and scale >= old_scale", _TYPE),
    _seen("a required column comes as any other", "plan/tables.py", "if was is None and new.needs_value(name):", "if False:", _EFFECT),
    _seen("a column that becomes required rewrites nothing", "plan/tables.py", 'yield _Found("rewrite", f"column {name} becomes required", name)', 'yield _Found("safe", f"column {name} becomes required", name)', _EFFECT),
    _seen("a rule changes unseen", "plan/tables.py", "        if old.rules.get(name) != new.rules.get(name):", "        if (name in old.rules) != (name in new.rules):", _EFFECT),
    _seen("the severity of a rule changes unseen", "plan/contracts.py", '_text(entry["severity"]))', '"")', _EFFECT),
    _seen("rules of other tools count", "plan/contracts.py", 'if entry.get("engine") == "lakehouse"', "if True", _EFFECT),
    _seen("the order of columns does not count", "plan/tables.py", 'yield _Found("rewrite", "columns in another order")', "pass", _EFFECT),
    _seen("texts that are read otherwise do not count", "plan/tables.py", 'if layer == "silver" else ""', 'if layer == "" else ""', _LANDING),
    _seen("the best change is the effect of the table", "plan/tables.py", "effect=changes[0].effect", "effect=changes[-1].effect", f"{_UNIT}test_the_worst_change_is_the_effect_of_the_table_and_comes_first"),
    _seen("a rebuild is not told", "plan/tables.py", "bool(landed) or _of_rows(old) != _of_rows(new)", "bool(landed)", _EFFECT),
    _seen("a comment rebuilds the table", "plan/tables.py", "bool(landed) or _of_rows(old) != _of_rows(new)", "bool(landed) or old != new", _EFFECT),
    _seen("a broken contract breaks the plan", "plan/contracts.py", "except (yaml.YAMLError, *_UNUSABLE):", "except yaml.YAMLError:", _BROKEN),
    _seen("a broken contract is no contract", "plan/contracts.py", '            found[f"{named[1]}.{named[2]}"] = contract', '            if contract:\n                found[f"{named[1]}.{named[2]}"] = contract', _BROKEN),
    _seen("a first plan is a story", "plan/tables.py", "        if not (old and new):", "        if not new:",
          f"{_STORY}test_a_first_plan_names_tables_and_no_change[fake]"),
    _seen("an archive that is gone breaks the plan", "plan/tables.py", "        except DeliveryError as error:", "        except RecursionError as error:",
          f"{_STORY}test_an_archive_that_is_gone_breaks_no_plan[fake]"),
    _seen("the running release is compared with the first one", "plan/tables.py", "store.open_stored(running.release)", "store.open_stored(store.stored_releases()[0])", _GOES),
    # Statements
    _seen("statements are repeated", "plan/tables.py", "statements(old if is_same else EMPTY,", "statements(EMPTY,", _STATEMENTS),
    _seen("a new schema keeps its comments", "plan/tables.py", "statements(old if is_same else EMPTY,", "statements(old,", f"{_UNIT}test_other_columns_lose_what_statements_gave_the_table"),
    _seen("a schema without what was kept is the same", "plan/tables.py", "_types(old) == _types(new) and not gone", "_types(old) == _types(new)", _KEPT),
    _seen("a quote ends the comment", "plan/contracts.py", '.replace("\'", "\\\\\'")', "", _STATEMENTS),
    _seen("a backslash escapes the quote", "plan/contracts.py", '.replace("\\\\", "\\\\\\\\")', "", _STATEMENTS),
    _seen("a removed tag stays", "plan/contracts.py", "if undo not in new or undo in is_other", "if undo in is_other", _STATEMENTS),
    _seen("a key is added to another one", "plan/contracts.py", "if undo not in new or undo in is_other", "if undo not in new", _STATEMENTS),
    _seen("what is undone was done first", "plan/contracts.py", "for undo in reversed(old)", "for undo in old", _STATEMENTS),
    _seen("key columns take NULL", "plan/contracts.py", "return column in self.key or (", "return (", _JOBS),
    _seen("a catalog that is not known", "plan/tables.py", "if is_known else f", "if True else f", f"{_UNIT}test_a_table_of_an_unknown_schema_has_a_short_name"),
    # Decisions
    _seen("nothing is decided of tables", "plan/planner.py", "    yield from guard.table_decisions(tables.changes, inputs.guard)\n", "", _GOES),
    _seen("a minor version drops", "plan/guard.py", "            if table.is_major:\n", "            if True:\n", _MINOR),
    _seen("any version is a major one", "plan/tables.py", "is_major = new.major > old.major and", "is_major = new.major >= old.major and", _MINOR),
    _seen("versions are compared as texts", "plan/contracts.py", "int(version[1]) if version else 0", "int(version[1][0]) if version else 0", _MINOR),
    _seen("a destructive change is a rewrite to the guard", "plan/guard.py", 'c.effect == "destructive"):', 'c.effect == "rewrite"):', _OWN),
    _seen("an exception of a table is one of its columns", "plan/tables.py", "key=f\"tables.{name}{column and '.'}{column}\"", 'key=f"tables.{name}"', _OWN),
    _seen("a key of a column is unknown", "plan/decisions.py", "    changed |= {change.key for table in tables for change in table.changes}\n", "", _GOES),
    # Rollback
    _seen("a rollback drops", "plan/tables.py", "        if is_rollback:\n            yield _Found(\"safe\"", "        if False:\n            yield _Found(\"safe\"", _ROLLBACK),
    _seen("a rollback is refused for a type", "plan/tables.py", 'other: Effect = "rewrite" if is_rollback else "destructive"', 'other: Effect = "destructive"', _ROLLBACK),
    _seen("what a rollback kept is forgotten", "deploy/apply.py", '"kept": list(planned.kept_columns),', '"kept": [],', _BACK),
    _seen("what a rollback kept goes unnamed", "plan/tables.py", "gone = undeclared | (extra if drops else set())", "gone = undeclared", _KEPT),
    _seen("what was kept is kept for ever", "plan/tables.py", "left |= set() if drops else {", "left |= {", _KEPT),
    _seen("a declared column is still kept", "plan/tables.py", "for key in held} - {*new.columns}", "for key in held}", _KEPT),
    # The plan
    _seen("tables are not approved", "plan/model.py", '        if not self.tables:  # plans', '        if True:  # plans', f"{_PLAN}test_changes_of_tables_are_approved_too"),
    _seen("plans of before have another digest", "plan/model.py", '            excluded.add("tables")\n', "            pass\n", f"{_PLAN}test_changes_of_tables_are_approved_too"),
    _seen("tables change after the approval", "plan/model.py", "if approved.get(t) != now.get(t)", "if False", f"{_PLAN}test_tables_that_changed_since_are_named"),
    _seen("a deploy that goes on is refused for its tables", "plan/model.py", "        if t in now or not started\n", "", f"{_PLAN}test_tables_that_changed_since_are_named"),
    _seen("a plan is silent about tables", "render/text.py", "    yield from _table_lines(plan.tables)\n", "", _EACH),
    _seen("a rebuild is not shown", "render/text.py", 'by the next run" if table.rebuilt else ""', 'by the next run" if False else ""', _EACH),
    _seen("a contract becomes markup", "render/text.py", "{escape(short_line(change.what))}", "{short_line(change.what)}", _EACH),
    _seen("a statement becomes markup", "render/text.py", "{escape(short_line(statement))}", "{short_line(statement)}", _EACH),
    _seen("what destroys is not shown", "render/text.py", '[c for c in table.changes if c.effect == "destructive"]', "[]", f"{_SCREENS}test_many_changes_are_shortened_but_never_those_that_destroy"),
    _seen("a plan is as long as its statements", "render/text.py", "if len(table.statements) <= _MOST_STATEMENTS:", "if True:", _EACH),
    _seen("new tables fill the screen", "render/text.py", 'names = escape(", ".join(new[:_MOST_NAMES]))', 'names = escape(", ".join(new))', f"{_SCREENS}test_new_tables_are_one_line"),
]
# fmt: on
