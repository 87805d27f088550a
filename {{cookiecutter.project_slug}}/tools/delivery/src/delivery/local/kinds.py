"""The kinds of tasks that a job may have, and which of them run on this machine."""

from delivery.checks.wiring import task_key_of
from delivery.config.yaml import Mark, YamlMapping
from delivery.local.problems import CannotRunError, mistake

# The kinds that run here, with the name that screens show.
RUN_HERE = {
    "condition_task": "condition",
    "for_each_task": "for each",
    "notebook_task": "notebook",
    "python_wheel_task": "wheel",
    "run_job_task": "job",
    "spark_python_task": "Python file",
    "sql_task": "SQL",
}

# The kinds that do not, with the name, and with what they need.
NEED_A_WORKSPACE = {
    "ai_runtime_task": ("AI runtime", "it needs GPUs of a workspace"),
    "alert_task": ("alert", "alerts are in a workspace"),
    "clean_rooms_notebook_task": ("clean room", "clean rooms are in a workspace"),
    "dashboard_task": ("dashboard", "dashboards are in a workspace"),
    "dbt_cloud_task": ("dbt platform", "it runs on the dbt platform"),
    "dbt_platform_task": ("dbt platform", "it runs on the dbt platform"),
    "dbt_task": ("dbt", "dbt needs a SQL warehouse"),
    "gen_ai_compute_task": ("GPU script", "it needs GPUs of a workspace"),
    "pipeline_task": ("pipeline", "pipelines run in a workspace"),
    "power_bi_task": ("Power BI", "it updates a model in Power BI"),
    "python_operator_task": ("Python operator", "operators run in a workspace"),
    "spark_jar_task": ("JAR", "JARs need a JVM"),
    "spark_submit_task": ("spark-submit", "spark-submit needs a JVM"),
}

# The order of tasks, and what a run here can ignore: compute, retries, limits and messages.
_OTHER_KEYS = {
    "compute",
    "depends_on",
    "description",
    "disable_auto_optimization",
    "disabled",
    "email_notifications",
    "environment_key",
    "environment_variables_key",
    "existing_cluster_id",
    "health",
    "job_cluster_key",
    "libraries",
    "max_retries",
    "min_retry_interval_millis",
    "new_cluster",
    "notification_settings",
    "retry_on_timeout",
    "run_if",
    "task_key",
    "timeout_seconds",
    "webhook_notifications",
}


def kind_of_task(task: YamlMapping, mark: Mark) -> str:
    """The key of what a task does, such as `notebook_task`.

    Raises:
        CannotRunError: the task does not run here, or has a key that this tool does not know.
        InvalidFileError: it does nothing, or several things.
    """
    for key in task:
        if key in NEED_A_WORKSPACE:
            raise CannotRunError(task.marks[key], key, NEED_A_WORKSPACE[key][1])
        if key not in _OTHER_KEYS and key not in RUN_HERE:
            raise CannotRunError(task.marks[key], key, "this tool does not know that key")
    found = [key for key in task if key in RUN_HERE]
    if len(found) != 1:
        given = " and ".join(found) or "no kind of task"
        message = f"task {task_key_of(task)}: given {given}, expected one kind"
        raise mistake(mark, message, "Example: notebook_task: {notebook_path: ../../src/NAME.py}")
    return found[0]


def shown_kind(task: YamlMapping) -> str:
    """The kind of a task as screens show it, with what it works on."""
    kinds = {**RUN_HERE, **{key: name for key, (name, _) in NEED_A_WORKSPACE.items()}}
    key = next((key for key in task if key in kinds), "")
    if not key:
        return "unknown"
    if key == "for_each_task":
        inner = task.section(key).section("task")
        return f"for each: {task_key_of(inner)}, {shown_kind(inner)}"
    subject = _subject(key, task.section(key))
    return f"{kinds[key]}: {subject}" if subject else kinds[key]


def _subject(key: str, section: YamlMapping) -> str:
    match key:
        case "condition_task":
            return " ".join(str(section.get(name, "")) for name in ("left", "op", "right"))
        case "notebook_task":
            return _last_step(section.get("notebook_path", ""))
        case "python_wheel_task":
            named = section.section("named_parameters").get("task")
            return str(named or section.get("entry_point", ""))
        case "run_job_task":
            steps = str(section.get("job_id", "")).strip("<>").split(".")
            return steps[2] if len(steps) == 4 else steps[0]
        case "spark_python_task":
            return _last_step(section.get("python_file", ""))
        case "sql_task":
            file = section.section("file").get("path", "")
            return _last_step(file) or next((k for k in section if k != "warehouse_id"), "")
    return ""


def _last_step(path: object) -> str:
    return str(path).rpartition("/")[2]
