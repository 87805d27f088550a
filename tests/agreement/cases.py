"""Small bundles, what `delivery check` says of each, and whether the CLI says something, too."""

from __future__ import annotations

from typing import NamedTuple

ROOT = """\
bundle: {name: agreement}
include: [resources/*.yml]
variables:
  known: {default: "7"}
targets:
  only:
    default: true
    workspace: {host: HOST, root_path: /Workspace/agreement}
  other:
    workspace: {host: HOST, root_path: /Workspace/agreement/other}
"""
POLICY = """\
project: {name: Agreement, compute: serverless, url: "https://example.com/team/agreement"}
branches: {integration: main, targets: {only: main}, prefixes: [feature]}
release: {include: [resources/, src/, more.txt]}
"""
_LATE = """\
{"evaluation": {"comparison_operator": "GREATER_THAN", "source": {"name": "n"}},
 "query_lines": ["SELECT 1 AS n"], "query_text": "SELECT 1 AS n",
 "schedule": {"quartz_cron_schedule": "0 0 6 * * ?", "timezone_id": "UTC"}}
"""
FILES = {
    "delivery.yml": POLICY,
    "more.txt": "requests\n",
    "pyproject.toml": '[project]\nname = "lakehouse"\nscripts = {run = "lakehouse.entry:main"}\n',
    "src/lakehouse/entry.py": "def run(task: str, catalog: str) -> None: ...\n",
    "src/lakehouse/sales/tasks.py": "def load(tables: object, day: str) -> None: ...\n",
    "src/note.py": "# Databricks notebook source\n",
    "src/plain.py": "print(1)\n",
    "src/chart.lvdash.json": "{}\n",
    "src/late.dbalert.json": _LATE,
    "src/wrong.dbalert.json": _LATE.replace("GREATER_THAN", "BIGGER"),
    "src/bare.dbalert.json": _LATE.partition(' "schedule"')[0].strip(" ,\n") + "}\n",
    "src/open.dbalert.json": _LATE.replace("SELECT 1", "SELECT ${var.known}", 1),
    "src/text.dbalert.json": _LATE.replace('"query_lines": ["SELECT 1 AS n"], ', ""),
    "src/conf/only.json": "{}\n",
    "src/conf/other.json": "{}\n",
}
NOTHING = ""
API = "only the API refuses it"


class Case(NamedTuple):
    """One bundle.

    Attributes:
        name: what it shows.
        text: the resources, in `resources/sales.yml`; with a line `---`, first additions to the
            root, at the end of it.
        rule: the rule that finds it; empty if it is valid.
        message: part of what is found.
        cli: whether the CLI finds it, too; otherwise why not.
        severity: of the finding; a warning if only the API refuses it, else an error.
    """

    name: str
    text: str
    rule: str = NOTHING
    message: str = ""
    cli: bool | str = True
    severity: str = ""


def job(task: str, more: str = "") -> str:
    """A job with one task, which is written in YAML's flow style."""
    return f"resources:\n  jobs:\n    sales:\n      name: sales\n{more}      tasks:\n        - {task}\n"


def _alert(file: str) -> str:
    """An alert from a file."""
    return (
        f"resources: {{alerts: {{late: {{display_name: late, warehouse_id: w, "
        f"file_path: ../src/{file}.dbalert.json}}}}}}\n"
    )


NOTE = "{task_key: a, notebook_task: {notebook_path: ../src/note.py}}"
ENVIRONMENT = "      environments: [{environment_key: default, spec: {environment_version: '4'}}]\n"
WHEEL = "python_wheel_task: {package_name: lakehouse, entry_point: run, named_parameters: "
RUN = f"{WHEEL}{{task: sales.load, catalog: c, day: d}}}}"


CASES = [
    # Valid.
    Case("a notebook", job(NOTE)),
    Case("a task of this wheel", job(f"{{task_key: a, environment_key: default, {RUN}}}", ENVIRONMENT)),
    Case("a variable of a shell", job(NOTE, "      description: '${HOME} and ${PYTHONPATH}'\n")),
    Case("a user's name as a parameter", job("{task_key: a, notebook_task: {notebook_path: ../src/note.py, "
         "base_parameters: {user_name: svc, principal: a@example.com}}}")),
    Case("a variable called user_name", "variables: {user_name: {default: svc}}\n---\n" + job(NOTE)),
    Case("an alert from a file", "resources: {alerts: {late: {display_name: late, warehouse_id: w, "
         "file_path: ../src/late.dbalert.json}}}\n"),
    Case("a glob of the release", "resources: {pipelines: {p: {name: p, serverless: true, libraries: "
         "[{glob: {include: '${workspace.file_path}/src/lakehouse/**'}}]}}}\n"),
    Case("a file for each target", job("{task_key: a, environment_key: default, spark_python_task: "
         "{python_file: ../src/plain.py, parameters: "
         "['${workspace.file_path}/src/conf/${bundle.target}.json']}}", ENVIRONMENT)),
    Case("a dynamic value for a secret", job(NOTE[:-2] + ", base_parameters: {token: "
         "'{{job.parameters.token}}'}}}", "      parameters: [{name: token, default: ''}]\n")),
    Case("another package", job("{task_key: a, environment_key: e, python_wheel_task: {package_name: "
         "databricks_labs_dqx, entry_point: profiler}}", "      environments: [{environment_key: e, "
         "spec: {environment_version: '4', dependencies: [databricks-labs-dqx==0.9.0]}}]\n")),
    Case("positional parameters", job("{task_key: a, environment_key: default, python_wheel_task: "
         "{package_name: lakehouse, entry_point: run, parameters: ['--task=sales.load', "
         "'--catalog=c', '--day=d']}}", ENVIRONMENT)),
    Case("an exported job", job(NOTE, "      format: MULTI_TASK\n")),
    Case("blocks for anchors", "x-common: &common {max_retries: 1}\n"
         + job("{<<: *common, task_key: a, notebook_task: {notebook_path: ../src/note.py}}")),
    Case("texts for numbers", job(NOTE, "      timeout_seconds: '60'\n      queue: {enabled: 'yes'}\n")),
    Case("a notebook in the release", job("{task_key: a, notebook_task: {notebook_path: "
         "'${workspace.file_path}/src/note'}}")),
    Case("blocks for anchors in definitions", "definitions: {retries: &retries {max_retries: 1}}\n---\n" + job(NOTE)),
    Case("a variable's value", "variables: {a: {value: x}}\n---\n" + job(NOTE)),
    Case("a name of its own", "bundle: {name: 'a-${var.known}'}\ntargets: {only: {bundle: {name: a}}, "
         "other: {bundle: {name: b}}}\n---\n" + job(NOTE)),
    Case("what is built", "artifacts: {code: {build: 'touch code.tgz', files: [{source: code.tgz}]}}\n---\n"
         + job(NOTE)),
    Case("a wheel of nobody here", job("{task_key: a, environment_key: e, python_wheel_task: {package_name: "
         "theirs, entry_point: main}}", "      environments: [{environment_key: e, spec: "
         "{environment_version: '4', dependencies: [/Volumes/a/b/c/code-1.0-py3-none-any.whl]}}]\n")),
    Case("Terraform's name of a list", job(NOTE, "      description: "
         "'${resources.jobs.sales.task[0].task_key}'\n")),
    # Variables.
    Case("a circle of variables", "variables: {a: {default: '${var.b}'}, b: {default: '${var.a}'}}\n---\n"
         + job(NOTE), "reference", "refers to itself: var.a → var.b → var.a"),
    Case("a second /Workspace", job(NOTE, "      description: '/Workspace/${workspace.root_path}/x'\n"),
         "reference", "expected ${workspace.root_path}/x", True, "warning"),
    Case("a variable without a value", "variables: {seconds: {description: s}}\n---\n" + job(NOTE),
         "variable", "variable seconds: no value on only, other"),
    Case("a value of nothing", "targets: {only: {variables: {knwon: x}}}\n---\n" + job(NOTE),
         "variable", "only: variable knwon is not declared, expected known"),
    Case("a type that is none", "variables: {a: {type: string, default: x}}\n---\n" + job(NOTE),
         "section", "variables.a.type: given string, expected"),
    Case("a variable that is a text", "variables: {a: abc}\n---\n" + job(NOTE),
         "section", "variables.a: given abc, expected a mapping"),
    Case("a lookup of nothing", "variables: {a: {lookup: {clusterpolicy: X}}}\n---\n" + job(NOTE),
         "section", "variables.a.lookup: unknown field clusterpolicy, expected cluster_policy"),
    # Fields at every level.
    Case("a section at the wrong level", "jobs: {sales: {name: sales}}\n", "section", "unknown field jobs"),
    Case("a kind that is none", "resources: {job: {sales: {name: sales}}}\n", "model",
         "resources.job: unknown kind, expected jobs"),
    Case("a field of bundle", "bundle: {gitt: {}}\n---\n" + job(NOTE), "section",
         "bundle: unknown field gitt, expected git"),
    Case("a section that is none", "syncc: {include: [x]}\n---\n" + job(NOTE), "section",
         "unknown field syncc, expected sync"),
    Case("a field of a target", "targets: {only: {permission: []}}\n---\n" + job(NOTE), "section",
         "targets.only: unknown field permission, expected permissions"),
    Case("a field of presets", "targets: {only: {presets: {jobs_max_concurent_runs: 5}}}\n---\n"
         + job(NOTE), "section", "unknown field jobs_max_concurent_runs"),
    Case("a field of a job", job(NOTE, "      max_concurent_runs: 1\n"), "model",
         "jobs.sales: unknown field max_concurent_runs, expected max_concurrent_runs"),
    Case("a field of another kind", "resources: {catalogs: {c: {nam: c}}}\n", "model",
         "catalogs.c: unknown field nam, expected name"),
    Case("a field of a Genie space", "resources: {genie_spaces: {g: {titel: g, warehouse_id: w, "
         "serialized_space: '{}'}}}\n", "model", "genie_spaces.g: unknown field titel, expected title"),
    Case("a choice that is none", job(NOTE, "      performance_target: FAST\n"), "model",
         "jobs.sales.performance_target: given FAST, expected"),
    Case("two wrong choices", job(NOTE[:-1] + ", run_if: ALL_SUCESS}",
         "      performance_target: FAST\n"), "model", "tasks[0].run_if: given ALL_SUCESS, expected ALL_SUCCESS"),
    Case("a list for a text", job(NOTE[:-2] + ", base_parameters: {bad: [1, 2]}}}"), "model",
         "base_parameters.bad: given a list, expected a string"),
    Case("a mapping for a text", job("{task_key: a, environment_key: default, spark_python_task: "
         "{python_file: ../src/plain.py}}", "      environments: [{environment_key: default, spec: "
         "{environment_version: '4', dependencies: [{pypi: {package: p}}]}}]\n"), "model",
         "dependencies[0]: given a mapping, expected a string"),
    Case("a list for a mapping", job("{task_key: a, environment_key: default, python_wheel_task: "
         "{package_name: lakehouse, entry_point: run, named_parameters: [a]}}", ENVIRONMENT), "model",
         "named_parameters: given a list, expected a mapping"),
    Case("a dashboard without a warehouse", "resources: {dashboards: {d: {display_name: d, file_path: "
         "../src/chart.lvdash.json}}}\n", "model", "dashboards.d: missing warehouse_id"),
    Case("a warehouse without a name", "resources: {sql_warehouses: {w: {cluster_size: Small}}}\n",
         "model", "sql_warehouses.w: missing name"),
    Case("a grant for nobody", "resources: {schemas: {s: {name: s, catalog_name: c, grants: "
         "[{privileges: [SELECT]}]}}}\n", "kind", "schemas.s.grants: given no principal"),
    Case("an app without code", "resources: {apps: {a: {name: a}}}\n", "kind",
         "apps.a: given no code, expected source_code_path or git_source"),
    Case("a permission of the bundle, too", "permissions: [{level: CAN_VIEW, group_name: all}]\n---\n"
         + job(NOTE, "      permissions: [{level: CAN_MANAGE, group_name: all}]\n"), "kind",
         "jobs.sales.permissions: all has a permission of the bundle, too", True, "warning"),
    Case("an app that loses its rights", job(NOTE, "      permissions: [{level: CAN_VIEW, group_name: all}]\n")
         + "  apps: {a: {name: a, source_code_path: ../src, resources: [{name: j, job: {id: "
         "'${resources.jobs.sales.id}', permission: CAN_MANAGE_RUN}}]}}\n", "kind",
         "apps.a: jobs.sales has permissions without the app's", True, "warning"),
    Case("a secret with a default", "resources: {secrets: {s: {catalog_name: c, schema_name: s, name: s, "
         "value: '${var.known}'}}}\n", "kind", "secrets.s.value: variable known has a default"),
    Case("a volume's path", "resources: {volumes: {v: {catalog_name: c, schema_name: s, name: v, "
         "volume_type: MANAGED, volume_path: /Volumes/c/s/v}}}\n", "kind", "volumes.v: given volume_path"),
    Case("a warehouse with an empty name", "resources: {sql_warehouses: {w: {name: '', cluster_size: Small}}}\n",
         "model", "sql_warehouses.w: missing name"),
    # Files.
    Case("a folder of the shell", "resources: {apps: {a: {name: a, source_code_path: '${HOME}'}}}\n", "path",
         "source_code_path: given ${HOME}, expected a folder"),
    Case("a folder that is true", "resources: {apps: {a: {name: a, source_code_path: true}}}\n", "path",
         "source_code_path: given true, expected a folder"),
    Case("an alert's file with a choice that is none", _alert("wrong"), "alert",
         "comparison_operator: given BIGGER, expected one of"),
    Case("an alert's file without a schedule", _alert("bare"), "alert", "missing schedule"),
    Case("an alert's file with a reference", _alert("open"), "alert", "given a reference"),
    Case("an alert's file without lines", _alert("text"), "alert",
         "query_text: the CLI does not read it", API),
    Case("an artifact that is not there", "artifacts: {code: {files: [{source: gone.tgz}]}}\n---\n" + job(NOTE),
         "artifact", "artifacts.code: given gone.tgz, expected a file"),
    Case("an artifact of nothing", "artifacts: {code: {path: src}}\n---\n" + job(NOTE),
         "artifact", "artifacts.code: given neither build nor files"),
    Case("a notebook without its suffix", job("{task_key: a, notebook_task: {notebook_path: ../src/note}}"),
         "path", "given ../src/note, expected ../src/note.py"),
    Case("a notebook that is not there", job("{task_key: a, notebook_task: {notebook_path: src/nope.py}}"),
         "path", "given src/nope.py, expected a file"),
    Case("a notebook that is a folder", job("{task_key: a, notebook_task: {notebook_path: ../src/conf}}"),
         "path", "expected a notebook, not a folder"),
    Case("a notebook that is a file", job("{task_key: a, notebook_task: {notebook_path: ../src/plain.py}}"),
         "path", "expected a notebook, which this file is not"),
    Case("a file that is a notebook", job("{task_key: a, environment_key: default, spark_python_task: "
         "{python_file: ../src/note.py}}", ENVIRONMENT), "path", "expected a file, not a notebook"),
    Case("a dashboard that is not there", "resources: {dashboards: {d: {display_name: d, warehouse_id: w,"
         " file_path: ../src/gone.lvdash.json}}}\n", "path", "expected a file"),
    Case("a dbt project that is not there", job("{task_key: a, environment_key: default, dbt_task: "
         "{project_directory: ../src/gone, commands: [dbt run]}}", ENVIRONMENT), "path", "expected a folder"),
    Case("requirements that are not there", job("{task_key: a, environment_key: e, spark_python_task: "
         "{python_file: ../src/plain.py}}", "      environments: [{environment_key: e, spec: "
         "{environment_version: '4', dependencies: ['-r ../gone.txt']}}]\n"), "path", "expected a file"),
    Case("a pipeline's notebook that is a file", "resources: {pipelines: {p: {name: p, libraries: "
         "[{notebook: {path: ../src/plain.py}}]}}}\n", "path", "expected a notebook"),
    Case("a pipeline's file that is a notebook", "resources: {pipelines: {p: {name: p, libraries: "
         "[{file: {path: ../src/note.py}}]}}}\n", "path", "expected a file, not a notebook"),
    # Tasks.
    Case("a task without compute", job(f"{{task_key: a, {RUN}}}"), "task",
         "task a: python_wheel_task without compute, expected one of environment_key"),
    Case("a loop's task without compute", job("{task_key: a, for_each_task: {inputs: '[1]', task: "
         "{task_key: b, spark_python_task: {python_file: ../src/plain.py}}}}"), "task",
         "task b: spark_python_task without compute"),
    Case("a loop's cluster that is none", job("{task_key: a, for_each_task: {inputs: '[1]', task: "
         "{task_key: b, job_cluster_key: nope, spark_python_task: {python_file: ../src/plain.py}}}}"),
         "wiring", "task b job_cluster_key: given nope, expected nothing"),
    Case("a loop's function that is none", job("{task_key: a, for_each_task: {inputs: '[1]', task: "
         f"{{task_key: b, environment_key: default, {RUN.replace('sales.load', 'sales.laod')}}}}}}}",
         ENVIRONMENT), "wiring", "task b: given sales.laod, expected sales.load", "it does not read code"),
    Case("retries of a loop", job("{task_key: a, max_retries: 3, for_each_task: {inputs: '[1]', task: "
         "{task_key: b, notebook_task: {notebook_path: ../src/note.py}}}}"), "task",
         "task a: max_retries of the loop, expected it in for_each_task.task", API),
    Case("two kinds of work", job(NOTE[:-1] + ", sql_task: {query: {query_id: q}, warehouse_id: w}}"),
         "task", "task a: given the work notebook_task, sql_task, expected one", API),
    Case("a key with a slash", job(NOTE.replace("task_key: a", "task_key: a/b")), "task",
         "task a/b: expected 1 to 100 letters, digits, - and _", API),
    Case("an outcome that is none", job("{task_key: c, condition_task: {op: EQUAL_TO, left: a, right: b}}\n"
         "        - {task_key: d, depends_on: [{task_key: c, outcome: maybe}], notebook_task: "
         "{notebook_path: ../src/note.py}}"), "task", "task d: outcome: given maybe", API),
    Case("an outcome of no condition", job(NOTE + "\n        - {task_key: d, depends_on: [{task_key: a, "
         "outcome: 'true'}], notebook_task: {notebook_path: ../src/note.py}}"), "task",
         "task d: given an outcome of task a, which is no condition_task", API),
    Case("an environment that stands twice", "targets: {only: {resources: {jobs: {sales: {environments: "
         "[{environment_key: default, spec: {environment_version: '5'}}]}}}}}\n---\n"
         + job(f"{{task_key: a, environment_key: default, {RUN}}}", ENVIRONMENT), "task",
         "environments: default is declared more than once", API),
    Case("a parameter of the called job that is none", job("{task_key: a, run_job_task: {job_id: "
         "'${resources.jobs.other.id}', job_parameters: {dya: x}}}") + "    other: {name: o, parameters: "
         f"[{{name: day, default: x}}], tasks: [{NOTE}]}}\n", "task",
         "job_parameters: given dya, expected day", API),
    Case("a job that runs itself", job("{task_key: a, run_job_task: {job_id: '${resources.jobs.sales.id}'}}"),
         "task", "task a: job sales runs itself", API),
    Case("inputs that are no list", job("{task_key: a, for_each_task: {inputs: '[1, 2', task: {task_key: b, "
         "notebook_task: {notebook_path: ../src/note.py}}}}"), "task",
         "task a: inputs: given [1, 2, expected a JSON list", API),
    Case("inputs that a task makes", job(NOTE + "\n        - {task_key: b, depends_on: [{task_key: a}], "
         "for_each_task: {inputs: '{{tasks.a.values.all}}', task: {task_key: c, notebook_task: "
         "{notebook_path: ../src/note.py}}}}")),
    Case("a task named like its loop", job("{task_key: a, for_each_task: {inputs: '[1]', task: {task_key: a, "
         "notebook_task: {notebook_path: ../src/note.py}}}}"), "task", "task a: named like its loop", API),
    Case("a parameter that stands twice", job(NOTE, "      parameters: [{name: a, default: x}, {name: a, "
         "default: y}]\n"), "task", "parameters: a is declared more than once", API),
    Case("a task that stands twice", job(NOTE + "\n        - " + NOTE), "wiring",
         "task a: declared more than once", "it merges the two"),
    Case("a file that is no notebook, used twice", job("{task_key: a, notebook_task: {notebook_path: "
         "../src/plain.py}}\n        - {task_key: b, notebook_task: {notebook_path: ../src/plain.py}}"),
         "path", "expected a notebook, which this file is not"),
    # Times.
    Case("a cron of the 25th hour", job(NOTE, "      schedule: {quartz_cron_expression: '0 0 25 * * ?', "
         "timezone_id: UTC}\n"), "schedule", "whose hours are out of range", API),
    Case("a cron with words and steps", job(NOTE, "      schedule: {quartz_cron_expression: "
         "'0 0/45 6-22/8 ? JAN-DEC 6#5', timezone_id: UTC}\n")),
    Case("a cron of Unix", job(NOTE, "      schedule: {quartz_cron_expression: '0 6 * * *', "
         "timezone_id: UTC}\n"), "schedule", "with 5 fields, expected 6 or 7", API),
    Case("a zone that is none", job(NOTE, "      schedule: {quartz_cron_expression: '0 0 6 * * ?', "
         "timezone_id: Europe/Munich}\n"), "schedule", "timezone_id: given Europe/Munich", API),
    # Dynamic values.
    Case("a parameter that is none", job(NOTE[:-2] + ", base_parameters: {d: '{{job.parameters.dya}}'}}}",
         "      parameters: [{name: day, default: x}]\n"), "dynamic",
         "{{job.parameters.dya}}: given dya, expected day", "it does not look into texts"),
    Case("a value of a task that is none", job(NOTE[:-2] + ", base_parameters: {d: "
         "'{{tasks.nope.values.n}}'}}}"), "dynamic",
         "given nope, expected a task of the job: a", "it does not look into texts"),
    Case("a dynamic value that is none", job(NOTE[:-2] + ", base_parameters: {d: "
         "'{{job.start_tiem.iso_date}}'}}}"), "dynamic", "is no dynamic value", API),
    Case("a misspelt namespace", job(NOTE[:-2] + ", base_parameters: {d: '{{jobs.parameters.day}}'}}}",
         "      parameters: [{name: day, default: x}]\n"), "dynamic",
         "given {{jobs.parameters.day}}, expected {{job.parameters.day}}", API),
    Case("single braces", job(NOTE[:-2] + ", base_parameters: {d: '{job.parameters.day}'}}}",
         "      parameters: [{name: day, default: x}]\n"), "dynamic",
         "given {job.parameters.day}, expected {{job.parameters.day}}", API),
    Case("an output that is none", job(NOTE + "\n        - {task_key: b, depends_on: [{task_key: a}], notebook_task: "
         "{notebook_path: ../src/note.py, base_parameters: {d: '{{tasks.a.outputs.y}}'}}}"), "dynamic",
         "{{tasks.a.outputs.y}} is no dynamic value", API),
    # The bundle.
    Case("a name with a variable", "bundle: {name: 'a-${var.known}'}\n---\n" + job(NOTE), "target",
         "bundle.name: given a-${var.known}, expected a name without references"),
    Case("a mode that is none", "targets: {only: {mode: prodution}}\n---\n" + job(NOTE), "target",
         "mode: given prodution, expected development or production"),
    Case("a folder of all developers", "targets: {only: {mode: development}}\n---\n" + job(NOTE), "target",
         "workspace.root_path: given /Workspace/agreement, expected a folder of the developer"),
    Case("a prefix of all developers", "targets: {only: {mode: development, workspace: {root_path: ~/x}, "
         "presets: {name_prefix: dev}}}\n---\n" + job(NOTE), "target", "name_prefix: given dev"),
    Case("a schedule in development", "targets: {only: {mode: development, workspace: {root_path: ~/x}, "
         "presets: {trigger_pause_status: UNPAUSED}}}\n---\n" + job(NOTE), "target",
         "trigger_pause_status: given UNPAUSED, expected PAUSED"),
    Case("a folder for each deployer", "targets: {only: {mode: production, workspace: {root_path: null}}}\n---\n"
         + job(NOTE), "target", "workspace.root_path: given none in the target"),
    Case("a folder of the runner", "targets: {only: {mode: production, workspace: {root_path: null}, run_as: "
         "{service_principal_name: r}}}\n---\n" + job(NOTE)),
    Case("a pipeline in development", "targets: {only: {mode: production}}\n---\n" + "resources: {pipelines: "
         "{p: {name: p, development: true}}}\n", "target", "pipelines.p: given development: true"),
    Case("a folder that all may change", "targets: {only: {workspace: {root_path: /Workspace/Shared/x}}}\n---\n"
         + job(NOTE), "target", "all users may change /Workspace/Shared/x", True, "warning"),
    Case("a folder that all shall change", "targets: {only: {workspace: {root_path: /Workspace/Shared/x}, "
         "permissions: [{level: CAN_MANAGE, group_name: users}]}}\n---\n" + job(NOTE)),
    Case("a root in a volume", "targets: {only: {workspace: {root_path: /Volumes/a/b/c}}}\n---\n"
         + job(NOTE), "section", "workspace.root_path: given /Volumes/a/b/c"),
]  # fmt: skip
