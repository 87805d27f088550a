"""Deliberate faults in runs of jobs on a laptop."""

from __future__ import annotations

from mutants.faults import Fault, _tool

_RUN = "tests/tool/test_run.py::"
_VALUES = "tests/tool/test_run_values.py::"
_KINDS = "tests/tool/test_run_kinds.py::"
_NOTEBOOKS = "tests/tool/test_run_notebooks.py::"
_SQL = "tests/tool/test_run_sql.py::"
_ENGINE = "tests/tool/test_run_engine.py::"
_GRAPH = "tests/tool/test_run_graph.py::"

_RUN_IF = f"{_VALUES}test_run_if_decides"
_COMPARE = f"{_VALUES}test_conditions_compare"
_FILLED = f"{_VALUES}test_references_get_their_values"
_BEFORE = f"{_VALUES}test_what_cannot_be_known_is_told_before_the_run"
_SCALARS = f"{_VALUES}test_scalars_are_the_texts_that_the_cli_passes"
_SKIPPED = f"{_KINDS}test_what_needs_a_workspace_is_skipped_by_name_and_reason"
_LISTED = f"{_KINDS}test_what_needs_a_workspace_is_listed_before_the_first_task"
_FAILURES = f"{_KINDS}test_tasks_run_after_failures_as_run_if_says"
_EACH = f"{_KINDS}test_each_failure_is_told_and_the_document_is_whole"
_SCRIPT = f"{_KINDS}test_a_file_of_python_runs_as_a_script"
_NOTEBOOK = f"{_KINDS}test_a_notebook_runs_with_its_widgets"
_LANGUAGE = f"{_NOTEBOOKS}test_what_does_not_run_here_is_told_with_its_place"
_BOUND = f"{_SQL}test_parameters_are_strings_of_sql"
_TABLES = f"{_SQL}test_tables_of_a_catalog_are_found"
_USE = f"{_SQL}test_use_decides_what_shorter_names_mean"
_WRITES = f"{_ENGINE}test_a_file_of_sql_reads_and_writes_tables_by_name"


def _seen(name: str, file: str, old: str, new: str, test: str) -> Fault:
    return _tool(name, file, old, new)._replace(test=test)


# fmt: off
RUN_FAULTS = [
    # Texts and values
    _seen("a Boolean is that of Python", "config/scalars.py", "return str(value).lower()", "return str(value)", _SCALARS),
    _seen("a number keeps its zeros", "config/scalars.py", 'digits.rstrip("0").rstrip(".") if "." in digits else digits', "digits", _SCALARS),
    _seen("dynamic values pass as they are", "local/values.py", "return text_of(_value_of(steps, self)) if steps else match[0]", "return match[0]", _FILLED),
    _seen("any braces are a reference", "local/values.py", 'return steps if steps and steps[0] in _NAMESPACES else []', "return steps", _FILLED),
    _seen("a skipped task was a success", "local/values.py", 'State.SKIPPED: "upstream_failed"', 'State.SKIPPED: "success"', _FILLED),
    _seen("a parameter that is not declared passes", "local/values.py", 'return "" if name in known.parameters else', 'return "" if True else', _BEFORE),
    _seen("a value of a task that did not run passes", "local/values.py", "            if name in known.others:\n", "            if False:\n", _BEFORE),
    _seen("an input everywhere", "local/values.py", 'return "" if known.has_input else', 'return "" if True else', _BEFORE),
    _seen("the parameter of the task wins", "local/wheel.py", "run(**{**values, **pushed, **extra})", "run(**{**pushed, **values, **extra})", f"{_KINDS}test_a_parameter_of_the_job_replaces_that_of_the_task"),
    _seen("defaults are all there is", "local/plan.py", "{**parameters, **chosen}, *planned)", "parameters, *planned)", f"{_KINDS}test_parameters_of_the_job_have_defaults"),
    # Conditions
    _seen("an excluded task is a failure", "local/conditions.py", "_FAILED = {State.FAILED, State.SKIPPED}", "_FAILED = {State.FAILED, State.SKIPPED, State.EXCLUDED}", _RUN_IF),
    _seen("a task runs though all before it were left out", "local/conditions.py", "    if {*before} == {State.EXCLUDED}:", "    if False:", _RUN_IF),
    _seen("a failure handler without failures is skipped", "local/conditions.py", "return State.EXCLUDED if run_if in _HANDLES_FAILURES else State.SKIPPED", "return State.SKIPPED", _RUN_IF),
    _seen("numbers are compared as texts", "local/conditions.py", 'return _NUMBERS[op](_number("left", op, left), _number("right", op, right))', "return _NUMBERS[op](left, right)", _COMPARE),
    _seen("both branches run", "local/job.py", "        if need.outcome and outcome", "        if False and outcome", f"{_KINDS}test_a_condition_decides_which_tasks_run"),
    _seen("tasks in the order of the file", "local/plan.py", "for name in order.static_order()", "for name in sorted(chosen, key=lambda n: 'count' not in n)", f"{_RUN}test_tasks_run_in_the_order_of_their_dependencies"),
    _seen("a failure ends the run", "local/job.py", "    except Exception as error:  # others", "    except ZeroDivisionError as error:  # others", _FAILURES),
    _seen("only the first failure is told", "cli/run.py", "for result in done if result.error]", "for result in done if result.error][:1]", _EACH),
    _seen("no document after a failure", "cli/run.py", "    if output is Output.JSON:\n        print(json.dumps(_run_as_json", "    if output is Output.JSON and not any(r.error for r in done):\n        print(json.dumps(_run_as_json", _EACH),
    # What does not run here
    _seen("what needs a workspace is left out silently", "local/plan.py", "if self.cannot_run and not self._options.skip_unsupported:", "if False:", _LISTED),
    _seen("tasks run whose inputs were skipped", "local/plan.py", "            elif before:\n", "            elif False:\n", _SKIPPED),
    _seen("a key that nobody knows is ignored", "local/kinds.py", "if key not in _OTHER_KEYS and key not in RUN_HERE:", "if False:", f"{_RUN}test_what_only_a_workspace_can_do_is_refused_before_the_first_task"),
    _seen("the wheel of another package is ours", "local/plan.py", 'return wheel.get("package_name", "") in ("", project.code.project.get("name"))', "return True", f"{_KINDS}test_the_wheel_of_another_package_is_skipped_by_name"),
    _seen("files come from anywhere", "local/project.py", "if not path.is_relative_to(self.root):", "if False:", f"{_KINDS}test_a_file_must_be_one_of_the_project"),
    _seen("files of another repository are ours", "local/plan.py", 'if "git_source" in job and has_file', "if False and has_file", f"{_KINDS}test_files_of_another_repository_are_not_here"),
    _seen("jobs run each other for ever", "local/plan.py", "        if key in self._running:", "        if len(self._running) > 50:", f"{_KINDS}test_jobs_do_not_run_each_other"),
    _seen("a loop ends at its first failure", "local/nested.py", "                failures.append((item, error))\n", "                failures.append((item, error))\n                break\n", f"{_KINDS}test_a_loop_goes_on_after_a_failure"),
    _seen("one task brings those before it", "local/plan.py", "if not only or name in only}", "if True}", f"{_KINDS}test_one_task_runs_with_its_inputs_as_they_are"),
    # Scripts and notebooks
    _seen("every exit code is a success", "local/runtime.py", "if end.code not in (None, 0):", "if False:", _SCRIPT),
    _seen("a script keeps the working directory", "local/runtime.py", "            with contextlib.chdir(folder):\n                yield\n", "            yield\n", _SCRIPT),
    _seen("defaults of widgets win", "local/dbutils.py", "return {**self._defaults, **self._given}", "return {**self._given, **self._defaults}", _NOTEBOOK),
    _seen("lines of a notebook are those of its cell", "local/python.py", '"\\n" * (cell.line - 1) + cell.text', "cell.text", f"{_KINDS}test_a_failure_in_a_notebook_has_its_line"),
    _seen("cells of other languages are passed by", "local/notebook.py", '        raise OtherLanguageError(start, f"a cell of %{word}', '        return\n        raise OtherLanguageError(start, f"a cell of %{word}', _LANGUAGE),
    _seen("an exit is an exception like others", "local/dbutils.py", "class NotebookExit(BaseException):", "class NotebookExit(Exception):", f"{_NOTEBOOKS}test_an_exit_is_not_stopped_by_except"),
    # SQL
    _seen("a semicolon in a string ends a statement", "local/sql.py", "    for token in [*_tokens(text), None]:", "    for token in [*(t for part in text.split(';') for t in _tokens(part + ';')), None]:", f"{_SQL}test_statements_are_split_with_their_lines"),
    _seen("a quote ends a parameter", "local/sql.py", """.replace("'", "\\\\'")\n    return f"'{escaped}'\"""", """\n    return f"'{escaped}'\"""", _BOUND),
    _seen("a field of JSON is a parameter", "local/sql.py", """ and not re.fullmatch(r"[\\w`\\])'\\"]", before)""", "", _BOUND),
    _seen("names of columns keep their schema", "local/sql.py", '            column.set("db", None)\n', "", _TABLES),
    _seen("a view replaces the name of its table", "local/sql.py", "    if has_alias and not table.alias:", "    if False:", _TABLES),
    _seen("a query with a name of its own is a table", "local/sql.py", "is_local = len(table.parts) == 1 and table.name in local", "is_local = False", _USE),
    _seen("USE is ignored", "local/sql.py", "        names.use(parts[0] if len(parts) == 2 else \"\", parts[-1])\n", "        pass\n", _USE),
    _seen("columns that are not given keep no place", "local/engine.py", "given.get(name, 'NULL')", "given.get(name, f'`{name}`')", _WRITES),
    _seen("partitions are columns", "local/engine.py", "        if [*stored] != [*tables.read(key).columns]:", "        if False:", f"{_ENGINE}test_a_table_with_partitions_is_read_by_name_and_not_written"),
    _seen("getOrCreate finds no session", "local/engine.py", '_environment("SPARK_REMOTE", "sc://localhost")', '_environment("NOTHING", "sc://localhost")', f"{_ENGINE}test_a_script_finds_the_session_and_values_of_tasks"),
    # What is told
    _seen("a failure has no line", "local/problems.py", 'found = f"{\'/\'.join(parts)}:{frame.lineno}"', "pass", f"{_KINDS}test_a_failure_in_a_notebook_has_its_line"),
    _seen("an error of the engine has no statement", "local/engine.py", "        except Exception as error:\n            reason", "        except SqlError as error:\n            reason", f"{_ENGINE}test_what_the_engine_says_has_the_line_of_its_statement"),
    _seen("what tasks print breaks the document", "cli/run.py", "sys.stderr if output is Output.JSON else sys.stdout", "sys.stdout", f"{_KINDS}test_what_a_task_prints_is_on_stdout_beside_no_document"),
    _seen("a wheel runs on nothing", "local/plan.py", "        self.problems += [found for task in tasks_of(job) for found in check_compute(task)]\n", "", f"{_RUN}test_what_only_a_workspace_can_do_is_refused_before_the_first_task"),
    # The graph
    _seen("a graph without outcomes", "local/graph.py", '        *(f"if {outcome}" for outcome in here),\n', "", f"{_GRAPH}test_a_graph_is_a_tree_with_kinds_and_conditions"),
    _seen("a task that does not exist is no fault", "local/graph.py", 'fault="no task of this job"', 'fault=""', f"{_GRAPH}test_a_task_that_does_not_exist_is_shown_and_named"),
    _seen("tasks that wait for each other are drawn as others", "local/graph.py", "replace(nodes[name], fault=_WAITS) if name in before[name] else nodes[name]", "nodes[name]", f"{_GRAPH}test_tasks_that_wait_for_each_other_are_shown_and_named"),
    _seen("a graph with faults is a success", "cli/graph.py", "    if faults:\n", "    if False:\n", f"{_GRAPH}test_tasks_that_wait_for_each_other_are_shown_and_named"),
    _seen("a picture without arrows over more than a column", "render/layout.py", "if steps[edge[0]] < steps[edge[1]]]", "if steps[edge[0]] + 1 == steps[edge[1]]]", f"{_GRAPH}test_a_picture_has_every_task_and_an_arrow_for_each_dependency"),
    _seen("boxes lie on each other", "render/layout.py", "            at += size + spacing.beside\n", "            at += size / 2\n", f"{_GRAPH}test_boxes_of_a_large_job_do_not_overlap"),
    _seen("a picture with markup of its tasks", "local/picture.py", 'return escape("".join(', 'return str("".join(', f"{_GRAPH}test_a_picture_has_every_task_and_an_arrow_for_each_dependency"),
    _seen("a label becomes markup", "local/graph.py", "*map(_escaped, filter(None, facts))", "*filter(None, facts)", f"{_GRAPH}test_a_graph_is_a_diagram"),
]
# fmt: on
