"""Plans the run of a job on this machine: all that can be known before its first task starts."""

import dataclasses
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from graphlib import TopologicalSorter
from pathlib import Path

from delivery.checks.task import check_compute, tasks_of
from delivery.checks.wiring import check_job, check_wheel_task, task_dependencies, task_key_of
from delivery.config.bundle import load_bundle
from delivery.config.code import Code
from delivery.config.references import resolve
from delivery.config.scalars import as_text
from delivery.config.yaml import Mark, YamlList, YamlMapping, string_values
from delivery.errors import DeliveryError, Finding, InvalidFileError
from delivery.local.conditions import RUN_IF
from delivery.local.files import prepare_notebook, prepare_python_file, prepare_sql
from delivery.local.job import JobPlan, Need, Task
from delivery.local.kinds import RUN_HERE, kind_of_task
from delivery.local.nested import for_each, run_job
from delivery.local.problems import RULE, CannotRunError, mistake
from delivery.local.project import Project
from delivery.local.tasks import Prepared, prepare_condition
from delivery.local.values import Known, problem_with, references_in
from delivery.local.wheel import FULL_REFRESH, prepare_wheel

_UNKNOWN = re.compile(r"<((?:bundle|resources|var|workspace)\.[\w.-]+)>")  # see `resolve`
_HINT = "Run it in a workspace: databricks bundle run."


@dataclass(frozen=True)
class Options:
    """What the command line says.

    Attributes:
        full_refresh: pass `full_refresh=true` to each task of the package.
        parameters: values for the parameters of the job.
        only: the tasks to run; all if there are none.
        skip_unsupported: leave out the tasks that need a workspace, and those that depend on them.
    """

    full_refresh: bool = False
    parameters: Mapping[str, str] = field(default_factory=dict)
    only: Collection[str] = ()
    skip_unsupported: bool = False


@dataclass(frozen=True)
class _CannotRun:
    """A task that needs a workspace: its place and the reason."""

    finding: Finding
    reason: str


def plan_job(root: Path, key: str, target: str, options: Options) -> JobPlan:
    """Plan the run of a job.

    Raises:
        DeliveryError: there is no such job, target, task or parameter; its YAML does not fit the
            code; or a task needs a workspace. All problems are in one error.
    """
    bundle = load_bundle(root)
    resolved = resolve(bundle, target)
    project = Project(bundle, target, resolved.tree, Code(root))
    jobs = resolved.tree.section("resources").section("jobs")
    if key not in jobs:
        if not jobs:
            raise DeliveryError(
                f"job: given {key!r}, but the project has no job\n"
                "    Create a domain with one: delivery new domain orders"
            )
        raise DeliveryError(f"job: given {key!r}, expected one of {', '.join(jobs)}")
    planner = _Planner(project, options)
    planner.problems += resolved.errors
    plan = planner.plan(key, options.only)
    planner.raise_problems(key)
    return plan


class _Planner:
    """Collects the problems of a job, and of the jobs that it runs."""

    def __init__(self, project: Project, options: Options) -> None:
        self.problems: list[Finding] = []
        self.cannot_run: list[Finding] = []
        self._project = project
        self._options = options
        self._running: list[str] = []

    def raise_problems(self, key: str) -> None:
        """Refuse the run if there are problems."""
        if self.problems:
            raise DeliveryError("\n".join(map(str, sorted({*self.problems}))))
        if self.cannot_run and not self._options.skip_unsupported:
            listed = "\n".join(map(str, sorted({*self.cannot_run})))
            hint = f"To run the other tasks here: delivery run {key} --skip-unsupported"
            raise DeliveryError(f"{listed}\n{hint}")

    def plan(
        self, key: str, only: Collection[str] = (), given: Mapping[str, str] | None = None
    ) -> JobPlan:
        """The plan of one job.

        Args:
            given: values for its parameters, instead of those of the command line.
        """
        jobs = self._project.tree.section("resources").section("jobs")
        job, prefix = jobs.section(key), f"job {key}: " if self._running else ""
        parameters = _parameters(job)
        chosen = self._options.parameters if given is None else given
        _require_known("--param", chosen, parameters)
        self.problems += _wrong_values(job, chosen, prefix)
        names = [task_key_of(task) for task, _ in job.items_of("tasks").sections()]
        _require_known("--task", only, names)
        self.problems += check_job(
            _without_others(job, self._project), jobs.marks[key], self._project.code
        )
        if self.problems:
            return JobPlan(key, key, parameters, ())
        self._running.append(key)
        planned = self._tasks(job, parameters, only, prefix)
        self.problems += [found for task in tasks_of(job) for found in check_compute(task)]
        self._running.pop()
        return JobPlan(key, str(job.get("name", key)), {**parameters, **chosen}, *planned)

    def _tasks(
        self, job: YamlMapping, parameters: Mapping[str, str], only: Collection[str], prefix: str
    ) -> tuple[tuple[Task, ...], tuple[Finding, ...]]:
        every = {task_key_of(task): (task, mark) for task, mark in job.items_of("tasks").sections()}
        chosen = {name: entry for name, entry in every.items() if not only or name in only}
        order = TopologicalSorter(
            {name: _within(task, chosen) for name, (task, _) in chosen.items()}
        )
        others = [name for name in every if name not in chosen]
        before_it: dict[str, list[str]] = {}
        planned: dict[str, Task] = {}
        notes: list[Finding] = []
        for name in order.static_order():
            task, mark = chosen[name]
            needs = _within(task, chosen)
            before_it[name] = [
                *dict.fromkeys(n for need in needs for n in [*before_it[need], need])
            ]
            found = self._prepared(job, task, mark, Known([*parameters], before_it[name], others))
            self.problems += _wrong_outcomes(task, chosen)
            before = next((need for need in needs if planned[need].skipped), "")
            if isinstance(found, _CannotRun):
                what = f"{prefix}task {name}: {found.finding.message}"
                self.cannot_run.append(dataclasses.replace(found.finding, message=what))
                planned[name] = _plain(task, chosen, skipped=found.reason)
            elif before:
                planned[name] = _plain(task, chosen, skipped=f"it depends on {before}")
            else:
                notes += found.notes if found else ()
                planned[name] = _plain(task, chosen, found)
        return tuple(planned.values()), tuple(notes)

    def _prepared(
        self, job: YamlMapping, task: YamlMapping, mark: Mark, known: Known
    ) -> Prepared | _CannotRun | None:
        """What runs the task; None if it has problems that no workspace would take either."""
        try:
            _require_run_if(task)
            kind = kind_of_task(task, mark)
            _require_files_here(job, task, kind)
            _require_values(task, kind, known)
            prepared = self._of_kind(kind, job, task, known)
            notes = [*prepared.notes, *_unknown_references(task, kind)]
            return dataclasses.replace(prepared, notes=notes)
        except CannotRunError as error:
            finding = Finding(error.mark.file, error.mark.line, RULE, str(error), _HINT)
            return _CannotRun(finding, error.why)
        except InvalidFileError as error:
            self.problems += error.findings
            return None

    def _of_kind(self, kind: str, job: YamlMapping, task: YamlMapping, known: Known) -> Prepared:
        project = self._project
        match kind:
            case "condition_task":
                return prepare_condition(task)
            case "for_each_task":
                return self._for_each(job, task, known)
            case "notebook_task":
                return prepare_notebook(task, project)
            case "python_wheel_task":
                self._require_own_wheel(task, known)
                extra = {FULL_REFRESH: "true"} if self._options.full_refresh else {}
                return prepare_wheel(task, project, known.parameters, extra)
            case "run_job_task":
                return self._run_job(task)
            case "spark_python_task":
                return prepare_python_file(task, project)
        return prepare_sql(task, project)

    def _require_own_wheel(self, task: YamlMapping, known: Known) -> None:
        wheel = task.section("python_wheel_task")
        if not _is_own(task, self._project):
            what = f"the wheel of {wheel['package_name']}"
            raise CannotRunError(wheel.marks["package_name"], what, "it is another package's wheel")
        problems = [*check_wheel_task(task, self._project.code, known.parameters)]
        if problems:
            raise InvalidFileError(*problems)

    def _for_each(self, job: YamlMapping, task: YamlMapping, known: Known) -> Prepared:
        section = task.section("for_each_task")
        inner = section.section("task")
        if "inputs" not in section or not inner:
            message = f"task {task_key_of(task)}: given no inputs or no task in for_each_task"
            hint = 'for_each_task: {inputs: \'["a", "b"]\', task: {task_key: one, …}}'
            raise mistake(task.marks["for_each_task"], message, hint)
        kind = kind_of_task(inner, section.marks["task"])
        _require_files_here(job, inner, kind)
        _require_values(inner, kind, dataclasses.replace(known, has_input=True))
        prepared = self._of_kind(kind, job, inner, known)
        return for_each(task_key_of(task), section["inputs"], prepared)

    def _run_job(self, task: YamlMapping) -> Prepared:
        section = task.section("run_job_task")
        mark = section.marks.get("job_id", task.marks["run_job_task"])
        steps = str(section.get("job_id", "")).strip("<>").split(".")
        if steps[:2] != ["resources", "jobs"] or len(steps) != 4:
            what = f"job {section.get('job_id', '')}"
            raise CannotRunError(mark, what, "it is not a job of this project")
        key = steps[2]
        if key in self._running:
            circle = " → ".join([*self._running[self._running.index(key) :], key])
            raise mistake(
                mark, f"jobs run each other: {circle}", "Remove one of these run_job_task."
            )
        given = section.section("job_parameters")
        declared = _parameters(self._project.tree.section("resources").section("jobs").section(key))
        for name in given:
            if name not in declared:
                listed = ", ".join(declared) or "none"
                message = f"job_parameters: given {name}, expected a parameter of {key}: {listed}"
                raise mistake(given.marks[name], message, "Declare it in the job: parameters.")
        texts = {name: as_text(value) for name, value in given.items() if value is not None}
        return run_job(self.plan(key, given={}), texts)


def _parameters(job: YamlMapping) -> dict[str, str]:
    """The parameters of a job, with their defaults."""
    entries = [entry for entry, _ in job.items_of("parameters").sections()]
    return {str(entry.get("name")): as_text(entry.get("default", "")) for entry in entries}


def _require_known(option: str, given: Collection[str], known: Collection[str]) -> None:
    for name in given:
        if name not in known:
            listed = ", ".join(known) or "none, the job declares none"
            raise DeliveryError(f"{option}: given {name!r}, expected one of {listed}")


def _is_own(task: YamlMapping, project: Project) -> bool:
    """Whether a task is not one with another package's wheel."""
    wheel = task.section("python_wheel_task")
    return wheel.get("package_name", "") in ("", project.code.project.get("name"))


def _without_others(job: YamlMapping, project: Project) -> YamlMapping:
    """The job as the code of this project knows it: without the wheels of other packages."""
    result, entries = YamlMapping(), YamlList()
    for task, mark in zip(job.items_of("tasks"), job.items_of("tasks").marks, strict=True):
        kept: object = task
        if isinstance(task, YamlMapping) and not _is_own(task, project):
            kept = YamlMapping()
            for key in task:
                if key != "python_wheel_task":
                    kept.put(key, task[key], task.marks[key])
        entries.put(kept, mark)
    for key, value in job.items():
        result.put(key, entries if key == "tasks" else value, job.marks[key])
    return result


def _within(task: YamlMapping, chosen: Collection[str]) -> list[str]:
    return [name for name in task_dependencies(task) if name in chosen]


def _plain(
    task: YamlMapping, chosen: Collection[str], prepared: Prepared | None = None, skipped: str = ""
) -> Task:
    return Task(
        name=task_key_of(task),
        kind=next((key for key in task if key in RUN_HERE), ""),
        needs=tuple(_needs(task, chosen)),
        run_if=str(task.get("run_if", "ALL_SUCCESS")),
        action=prepared.action if prepared else None,
        skipped=skipped,
        notebook=prepared.notebook if prepared else "",
        disabled=task.get("disabled") is True,
    )


def _needs(task: YamlMapping, chosen: Collection[str]) -> Iterator[Need]:
    for need, _ in task.items_of("depends_on").sections():
        if task_key_of(need) in chosen:
            outcome = as_text(need["outcome"]) if "outcome" in need else ""
            yield Need(task_key_of(need), outcome)


def _wrong_outcomes(
    task: YamlMapping, chosen: Mapping[str, tuple[YamlMapping, Mark]]
) -> Iterator[Finding]:
    """Outcomes that are none of a condition."""
    for need, _ in task.items_of("depends_on").sections():
        other = chosen.get(task_key_of(need))
        if "outcome" not in need or other is None:
            continue
        mark, outcome = need.marks["outcome"], as_text(need["outcome"])
        if "condition_task" not in other[0]:
            message = f"outcome: given {outcome}, but {task_key_of(need)} is not a condition_task"
            hint = "Remove it, or name a condition_task."
            yield Finding(mark.file, mark.line, RULE, message, hint)
        elif outcome.lower() not in ("true", "false"):
            message = f"outcome: given {outcome}, expected true or false"
            yield Finding(mark.file, mark.line, RULE, message, 'Example: outcome: "true"')


def _wrong_values(job: YamlMapping, given: Mapping[str, str], prefix: str) -> Iterator[Finding]:
    """Values for parameters of the job that refer to what is not known here."""
    for entry, mark in job.items_of("parameters").sections():
        name = str(entry.get("name"))
        text = given.get(name, as_text(entry.get("default", "")))
        for steps in references_in(text):
            problem = problem_with(steps, Known())
            if problem:
                message, hint = f"{prefix}parameter {name}: {problem}", f"--param {name}=VALUE"
                yield Finding(mark.file, mark.line, RULE, message, f"Give a value: {hint}")


def _require_run_if(task: YamlMapping) -> None:
    run_if = task.get("run_if", "ALL_SUCCESS")
    if run_if not in RUN_IF:
        message = f"task {task_key_of(task)} run_if: given {run_if}, expected {' or '.join(RUN_IF)}"
        raise mistake(task.marks["run_if"], message, "Example: run_if: ALL_DONE")


def _require_files_here(job: YamlMapping, task: YamlMapping, kind: str) -> None:
    """Refuse files that the job takes from another repository."""
    section = task.section(kind)
    has_file = kind in ("notebook_task", "spark_python_task") or "file" in section
    source = str(section.get("source", section.section("file").get("source", ""))).upper()
    if "git_source" in job and has_file and source != "WORKSPACE":
        why = "its files are in another repository"
        raise CannotRunError(job.marks["git_source"], "git_source of the job", why)


# A job is run here, and the embedded engine takes the place of a warehouse.
_NOT_NEEDED_HERE = ("job_id", "warehouse_id")


def _unknown_references(task: YamlMapping, kind: str) -> Iterator[Finding]:
    """References of the bundle, such as the id of a resource, that only a workspace knows."""
    for key, text, mark in string_values(task.section(kind)):
        found = _UNKNOWN.search(text)
        if found and key not in _NOT_NEEDED_HERE:
            name, hint = f"task {task_key_of(task)} {key}", f"Here it is the text {found[0]}."
            message = f"{name}: ${{{found[1]}}} is known only in a workspace"
            yield Finding(mark.file, mark.line, RULE, message, hint, "warning")


def _require_values(task: YamlMapping, kind: str, known: Known) -> None:
    """Require that all dynamic values of a task can be known here."""
    section = YamlMapping()
    for key, value in task.section(kind).items():
        if not (kind == "for_each_task" and key == "task"):  # its task is judged by itself
            section.put(key, value, task.section(kind).marks[key])
    for key, text, mark in string_values(section):
        for steps in references_in(text) if kind != "sql_task" or key != "path" else ():
            problem = problem_with(steps, known)
            if not problem:
                continue
            is_of_workspace = steps[0] not in ("input", "tasks") and "parameters" not in steps[:2]
            if is_of_workspace:
                raise CannotRunError(mark, f"{key}: {text}", problem)
            message = f"task {task_key_of(task)} {key}: {problem}"
            raise mistake(mark, message, "Example: '{{job.parameters.day}}'")
