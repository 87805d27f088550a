"""Deliberate faults: each changes one text of the product, and names the test that must see it."""

from __future__ import annotations

from typing import NamedTuple

PROJECT = "{{cookiecutter.project_slug}}"
CLASSIC = f"{PROJECT}/options/compute=classic/resources/flights/job.yml"
BUNDLE = "tests/test_project.py::test_a_project_passes_its_own_bundle_tests"
CHECKS = "tests/test_project.py::test_a_project_passes_its_own_lint_and_types"
RULES = "tests/test_project.py::test_a_project_passes_its_own_rules"
OWN = "tests/test_project.py::test_the_default_project_passes_its_own_tests"
UNIT, PIPELINE = f"{OWN}[tests/unit]", f"{OWN}[tests/pipeline]"
DELIVERY = f"{OWN}[tools/delivery/tests]"


class Fault(NamedTuple):
    """One fault: in `file`, `old` becomes `new`; `test` must turn red."""

    name: str
    file: str
    old: str
    new: str
    test: str


def _project(name: str, file: str, old: str, new: str, test: str) -> Fault:
    return Fault(name, f"{PROJECT}/{file}", old, new, test)


def _source(name: str, file: str, old: str, new: str, test: str = UNIT) -> Fault:
    return _project(name, f"src/lakehouse/{file}", old, new, test)


def _tool(name: str, file: str, old: str, new: str) -> Fault:
    return _project(name, f"tools/delivery/src/delivery/{file}", old, new, DELIVERY)


JOB = "resources/flights/job.yml"
ENGINE = "engine/tables.py"

# fmt: off
BUNDLE_FAULTS = [
    _project("prod on dev's catalog", "targets/prod.yml", "__catalog }}_prod", "__catalog }}_dev", BUNDLE),
    _project("prod in development mode", "targets/prod.yml", "mode: production", "mode: development", BUNDLE),
    _project("mode misspelt", "targets/staging.yml", "mode: production", "mode: prodution", BUNDLE),
    _project("staging on prod's host", "targets/staging.yml", "staging_host", "prod_host",
             "tests/test_bake.py::test_each_workspace_has_its_own_address"),
    _project("prod paused", "targets/prod.yml", "UNPAUSED", "PAUSED", BUNDLE),
    _project("staging on schedule", "targets/staging.yml", "      trigger_pause_status: PAUSED\n", "", BUNDLE),
    _project("a schedule of its own mind", JOB, "        timezone_id: UTC\n",
             "        timezone_id: UTC\n        pause_status: UNPAUSED\n", BUNDLE),
    _project("jobs run as the deployer", "targets/prod.yml", "run_as:\n      service_principal_name: ${var.runner}",
             "run_as:\n      service_principal_name: ${var.deployer}", BUNDLE),
    _project("runner is deployer", "targets/prod.yml", "000000000002  #", "000000000001  #", BUNDLE),
    _project("one folder for all releases", "targets/prod.yml", "releases/${var.release}/files", "files", BUNDLE),
    _project("a release by default", "databricks.yml",
             "    description: The release to deploy", "    default: latest\n    description: The release to deploy", BUNDLE),
    _project("prod builds", "targets/prod.yml", "    presets:", "    artifacts: {x: {type: whl, build: make wheel, path: ..}}\n    presets:", BUNDLE),
    _project("everybody may do everything", "databricks.yml", "privileges: [USE_SCHEMA, SELECT]\n",
             "privileges: [ALL_PRIVILEGES]\n", BUNDLE),
    _project("everybody manages jobs", "databricks.yml", "level: CAN_VIEW\n        group_name",
             "level: CAN_MANAGE\n        group_name", BUNDLE),
    _project("rights in dev", "targets/dev.yml", "      job_permissions: []\n", "", BUNDLE),
    _project("tasks misspelt", JOB, "      tasks:\n", "      taks:\n", BUNDLE),
    _project("a resource field misspelt", JOB, "max_concurrent_runs", "max_concurent_runs", BUNDLE),
    _project("a task file that is not there", JOB, "task: flights.gold", "task: flight.gold", RULES),
    _project("a parameter misspelt", JOB, "              landing:", "              landingg:", RULES),
    _project("a parameter misspelt, classic", "options/compute=classic/" + JOB,
             "              landing:", "              landingg:", RULES),
    _project("an entry point that is not there", JOB, "entry_point: lakehouse", "entry_point: lakehuose", RULES),
    _project("a task that waits for nobody", JOB, "tasks:\n        - task_key: bronze",
             "tasks:\n        - task_key: brass", RULES),
    _project("a dangling reference", "resources/flights/volumes.yml", "flights_bronze.name", "flights_brnz.name", RULES),
    _project("includes that reach nothing", "databricks.yml", "resources/*/*.yml", "resources/*.yml", RULES),
    _project("a secret in YAML", "resources/flights/volumes.yml", "      comment: Files",
             "      password: hunter2hunter2\n      comment: Files", RULES),
    _project("a domain's job without timeout", JOB, "timeout_seconds: 3600", "timeout_seconds: 0", BUNDLE),
    _project("nobody is told", JOB, "        on_failure:\n          - ${var.owner}\n", "        on_start: []\n", BUNDLE),
    _project("requirements left behind", "databricks.yml", "    - requirements.txt\n", "", BUNDLE),
    _project("classic runs something else", "options/compute=classic/" + JOB, "max_retries: 1", "max_retries: 2",
             "tests/test_bake.py::test_compute_differs_in_compute_only"),
    _project("indented YAML", "resources/flights/volumes.yml", "      name:", "       name:", RULES),
]

SOURCE_FAULTS = [
    _source("a syntax error", "flights/tasks.py", "def gold(", "def gold((", CHECKS),
    _source("a type error", "refine.py", "return [silver, quarantine], account", "return silver, account", CHECKS),
    _source("dedupe dropped", "quality.py", '.where("_rank = 1")', '.where("_rank >= 1")'),
    _source("the oldest row wins", "quality.py", "desc_nulls_last() for", "asc_nulls_last() for"),
    _source("quarantine dropped", "quality.py", "judged.where(\"_failed <> ''\").select", 'judged.where("false").select'),
    _source("NULL passes a rule", "quality.py", "F.lit(False)), rule.name", "F.lit(True)), rule.name"),
    _source("rows without a key are valid", "quality.py", "names = [*missing, *names]", "names = names"),
    _source("unreadable text is forgotten", "quality.py", 'F.concat_ws(",", *broken).alias', 'F.lit("").alias'),
    _source("a warning quarantines", "quality.py", "if rule.on_failure == on_failure", "if True"),
    _source("superseded counts keys only", "quality.py", '(F.count("*") - 1)', '(F.count("*") / F.count("*"))', PIPELINE),
    _source("an unbalanced account passes", "refine.py", "if not account.balanced", "if account.landed < 0",
            "tests/test_project.py::test_the_default_project_passes_its_own_tests[tests/unit]"),
    _source("files are ingested again", "engine/stores.py", "not in self._seen(schema, table)", "not in ()"),
    _source("a version for nothing", ENGINE, '.where("_operation IS NOT NULL")', ""),
    _source("replace always writes", ENGINE, "        if inserted or deleted:\n", "        if True:\n"),
    _source("keys that are gone stay", ENGINE, '.when(F.col("new").isNull(), "delete")', '.when(F.col("new").isNull(), None)'),
    _source("a NULL change is missed", ENGINE, 'F.col("new").eqNullSafe(F.col("old"))', 'F.lit(True)'),
    _source("unions in one long chain", "engine/stores.py", "middle = len(frames) // 2", "middle = 1"),
    _source("paths with spaces", "engine/stores.py", "_PLAIN_PATH.fullmatch(str(folder))", "str(folder)"),
    _source("local time", "engine/session.py", '"UTC"', '"America/New_York"'),
    _source("late from the sixteenth minute", "flights/transform.py", "_LATE_MINUTES = 15", "_LATE_MINUTES = 16"),
    _source("cancelled by arrival", "flights/transform.py", 'F.col("dep_time").isNull()', 'F.col("arr_delay").isNull()'),
    _source("fog from four miles", "flights/transform.py", '"visib") < 3', '"visib") < 4'),
    _source("unknown destinations pass", "flights/rules/flights.yml", "expect: dest_name IS NOT NULL", "expect: 'true'", PIPELINE),
    _source("tail numbers quarantine", "flights/rules/flights.yml", "on_failure: warn", "on_failure: quarantine", PIPELINE),
    _source("another key", "flights/rules/flights.yml", "key: [carrier, flight, time_hour]", "key: [carrier, flight]", PIPELINE),
    _source("gold forgets routes", "flights/tasks.py", '        "routes": transform.routes(flights),\n', "", PIPELINE),
    _source("domain code writes", "flights/show.py", "    return text\n", "    rows.write\n    return text\n"),
    _source("impossible winds pass", "flights/rules/weather.yml", "BETWEEN 0 AND 250", "BETWEEN 0 AND 2500"),
    _source("a missing month is January", "flights/transform.py", "concat(year, '-', lpad(month, 2, '0'), '-', lpad(day, 2, '0'))", "concat_ws('-', year, month, day)"),
    _source("a gold figure is wrong", "flights/transform.py", 'F.col("precip") > 0', 'F.col("precip") > 0.01',
            "tests/test_year.py::test_every_figure_of_gold_equals_an_independent_calculation"),
    _project("a changed sample", "data/flights/landing/airlines/2013.csv", "Envoy Air", "Envoy Air Inc.",
             "tests/test_year.py::test_the_shipped_sample_is_the_real_data"),
]

TOOL_FAULTS = [
    _tool("failures end with 0", "cli.py", "Exit.FAILED if failed else Exit.DONE", "Exit.DONE"),
    _tool("errors end with 0", "cli.py", "    sys.exit(code)", "    sys.exit(0)"),
    _tool("a failing task goes on", "cli.py", "            Exit.FAILED,\n        ) from error", "            Exit.DONE,\n        ) from error"),
    _tool("tasks in the order of the file", "run.py", "for name in order.static_order()", "for name in tasks"),
    _tool("other tasks are skipped", "run.py", "for key in set(task) - _TASK_KEYS", "for key in ()"),
    _tool("dynamic values pass", "run.py", 'if "{{" in str(value)', "if False"),
    _tool("two stars reach deeper", "bundle/load.py", '.replace("**", "*"), root_dir=root)', ", root_dir=root, recursive=True)"),
    _tool("a resource twice", "bundle/load.py", "            if key in known:", "            if False:"),
    _tool("targets do not override", "bundle/load.py", "tree = merged(tree, overrides)", "pass"),
    _tool("yes is true", "bundle/document.py", 'r"true|True|TRUE|false|False|FALSE", "tTfF"', 'r"true|True|TRUE|false|False|FALSE|yes|off", "tTfFyo"'),
    _tool("a key twice", "bundle/document.py", "            if key.value in section:", "            if False:"),
    _tool("an inline merge", "bundle/document.py", "or (inline and not", "or (False and not"),
    _tool("lines off by one", "bundle/document.py", "return Mark(self._file, node.start_mark.line + 1)", "return Mark(self._file, node.start_mark.line)"),
    _tool("a dangling variable", "bundle/references.py", "        if name not in declared:\n", "        if False:\n"),
    _tool("missing parameters pass", "rules/wiring.py", "    if extra or missing:", "    if extra:"),
    _tool("extra parameters pass", "rules/wiring.py", "    if extra or missing:", "    if missing:"),
    _tool("circles pass", "rules/wiring.py", "    except CycleError as error:\n", "    except CycleError as error:\n        return\n"),
    _tool("tokens pass", "rules/secrets.py", "dapi|dose", "dapy|dose"),
    _tool("passwords pass", "rules/secrets.py", "password|passwd", "passwort|passwd"),
    _tool("any branch name", "rules/branches.py", "if not re.fullmatch(", "if not re.match('', branch) and not re.fullmatch("),
    _tool("commits to main", "rules/branches.py", "if branch in branches.protected and _git", 'if branch == "" and _git'),
    _tool("unknown keys in the policy", "policy.py", 'extra="forbid"', 'extra="ignore"'),
    _tool("unreached files", "check.py", "if name not in project.bundle.files", "if False"),
    _tool("heavy imports", "cli.py", "import typer\n", "import pandas\nimport typer\n"),
]

STORY = "tests/test_delivery_story.py::"
REFUSALS = "tests/test_delivery_refusals.py::"
WAY_BACK = "tests/test_delivery_way_back.py::"
OPERATIONS = "tests/test_delivery_operations.py::"
RELEASES = "tests/test_delivery_releases.py::"
BAD_DAYS = "tests/test_delivery_bad_days.py::"


def _delivery(name: str, file: str, old: str, new: str, test: str = DELIVERY) -> Fault:
    return _tool(name, file, old, new)._replace(test=test)


DELIVERY_FAULTS = [
    # Policy
    _delivery("the looser policy wins", "policy.py", "max((d[target] for d", "min((d[target] for d"),
    _delivery("the newer plan age counts", "policy.py", "min(self.plan_hours, other.plan_hours)", "max(self.plan_hours, other.plan_hours)"),
    _delivery("a freeze ends a day early", "policy.py", "f.first <= today <= f.last", "f.first <= today < f.last"),
    _delivery("prod without a source", "policy.py", "return self.released[index - 1] if index else None", "return None"),
    _delivery("protected keys of one side only", "policy.py", "[*self.guard.protected, *other.guard.protected]", "[*self.guard.protected]"),
    _delivery("a release spares itself staging", "prepare.py", "        elif source or before:\n            yield from self._receipt(str(source or before))", "        elif source:\n            yield from self._receipt(source)",
              f"{STORY}test_a_release_goes_from_staging_to_prod_with_its_receipt"),
    _delivery("protections for ever", "deploy.py", '"policy": prepared.own.model_dump', '"policy": prepared.own.stricter(prepared.own).model_copy(update={"guard": prepared.own.guard.model_copy(update={"protected": ["volumes.flights_landing"]})}).model_dump',
              f"{STORY}test_a_protection_holds_for_the_release_that_lifts_it_and_no_longer"),
    _delivery("policies lose their order", "ledger.py", "indent=1)}\\n", "indent=1, sort_keys=True)}\\n",
              f"{STORY}test_what_runs_and_is_verified_is_not_delivered_again"),
    _delivery("the last target needs no approval", "policy.py", '"environment" if last else "none"', '"none"'),
    _delivery("freezes of nothing", "policy.py", "unknown = [target for target in targets if target not in self.branches.targets]", "unknown: list[str] = []"),
    _delivery("a release lifts its own approval", "deploy.py", "check_approval(prepared.policy,", "check_approval(prepared.own,",
              f"{STORY}test_a_release_goes_from_staging_to_prod_with_its_receipt"),
    _delivery("the webhook is not told", "notify.py", "    body = json.dumps", "    return\n    body = json.dumps",
              f"{STORY}test_what_goes_back_or_is_blocked_by_hand_is_told"),
    _delivery("some other release", "commands/common.py", 'f"{checked_out(here()).release}.tar.gz"', 'max((here() / RELEASES).glob("*.tar.gz")).name',
              f"{STORY}test_the_release_of_the_checked_out_commit_is_meant"),
    # The way back
    _delivery("one release too far", "deploy.py", "if standing.verified and standing.running not in", "if False and standing.running not in",
              f"{WAY_BACK}test_when_the_cli_fails_what_ran_stays"),
    _delivery("a way back into what was left", "deploy.py", 'return crossing(self.site, "")', "return standing.back()",
              f"{WAY_BACK}test_no_way_back_crosses_data_that_was_changed_for_good"),
    _delivery("exceptions count when going back", "guard.py", "        if self.back:\n            return None\n", ""),
    _delivery("a way back that leads forward", "ledger.py", "before = self.good[: self.good.index(self.running)] if known else self.good", "before = [r for r in self.good if r != self.running or not known]"),
    _delivery("a rollback that was cut off goes further", "deploy.py", "resumed = cut_off and", "resumed = False and cut_off and",
              f"{WAY_BACK}test_a_rollback_that_was_cut_off_goes_on_where_it_was"),
    _delivery("a failed rollback blocks", "deploy.py", "        if prepared.plan.back:\n            told", "        if False:\n            told",
              f"{WAY_BACK}test_a_failed_rollback_blocks_nothing_and_can_be_tried_again"),
    _delivery("a verification that cannot start", "deploy.py", 'return [f"verification: {error}"]', "raise",
              f"{WAY_BACK}test_a_verification_that_cannot_start_has_failed"),
    _delivery("going back asks for approval", "deploy.py", "        if not plan.back:\n", "        if True:\n",
              f"{WAY_BACK}test_prod_goes_back_without_a_second_approval"),
    _delivery("older releases as if they were new", "prepare.py", 'if self.running and manifest.time <', "if False and manifest.time <",
              f"{WAY_BACK}test_an_older_release_comes_back_by_rollback_alone"),
    _delivery("named after the approval", "plan.py", '"retained", "named")', '"retained")',
              f"{WAY_BACK}test_what_is_named_after_the_approval_is_refused"),
    _delivery("exceptions come back", "prepare.py", "{*situation.used, *guard.used_up", "{*guard.used_up",
              f"{WAY_BACK}test_an_exception_is_used_up_for_good"),
    _delivery("markup in reasons", "commands/operate.py", 'text = escape(f"{event.release}', 'text = (f"{event.release}',
              f"{WAY_BACK}test_reasons_are_no_markup"),
    # What was made without an answer
    _delivery("made twice without an answer", "deploy.py", "            self._own(prepared)\n", "",
              f"{BAD_DAYS}test_what_was_made_without_an_answer_is_kept"),
    _delivery("what is there is no matter", "prepare.py", "            *self._in_the_way(changes),\n", "",
              f"{BAD_DAYS}test_what_is_there_already_is_adopted_and_not_made_again"),
    # Staying at home
    _delivery("releases choose their folders", "prepare.py", "        _refuse_elsewhere(target, self.archive.manifest.release)\n", "",
              f"{RELEASES}test_a_malicious_release_is_refused_before_it_can_do_anything"),
    _delivery("previews reach out", "preview.py", 'if name.endswith("_path") and not', "if False and not",
              f"{OPERATIONS}test_a_preview_stays_in_its_own_folder"),
    _delivery("previews remember each other", "preview.py", '".databricks/bundle" / TARGET', '".databricks/bundle" / "nowhere"',
              f"{OPERATIONS}test_old_previews_are_swept_and_young_ones_stay"),
    _delivery("jobs of others are adopted", "operate.py", "                if owner:\n", "                if False:\n",
              f"{OPERATIONS}test_nothing_of_others_is_adopted_and_nothing_is_let_go_in_vain"),
    _delivery("blocked releases are kept as good", "operate.py", "if release not in standing.blocked]", "]",
              f"{OPERATIONS}test_prune_does_not_take_a_blocked_release_for_a_good_one"),
    _delivery("a block explains a state", "ledger.py", "self.explained |= name.kind in", "self.explained |= True or name.kind in"),
    _delivery("receipts outlive their release", "prepare.py", "        elif self._is_blocked_at(source):", "        elif False:",
              f"{REFUSALS}test_a_receipt_ends_when_its_target_leaves_the_release"),
    _delivery("one target hides the others", "commands/observe.py", "            errors.append(error)\n", "            raise\n",
              f"{OPERATIONS}test_a_target_that_cannot_be_seen_hides_no_other"),
    # Rules
    _delivery("persons run jobs", "rules/released.py", 'if key == "user_name" or', 'if False or'),
    _delivery("the deployer runs jobs", "rules/released.py", 'not by or by != variables.get("deployer")', "True"),
    _delivery("parity of nothing", "rules/parity.py", "if not any(_matches(found.path, pattern)", "if False and not any(_matches(found.path, pattern)"),
    _delivery("a fork keeps its identity", "rules/identity.py", "if home and origin and home != origin:", "if False:"),
    _delivery("unknown fields", "rules/model.py", "        if error is None:\n", "        if True:\n"),
    _delivery("builds in released targets", "forbidden.py", '_KEYS = ("artifacts", ', "_KEYS = ("),
    _delivery("another host in YAML", "target.py", "if meant and meant != target.host:", "if False:"),
    # Releases
    _delivery("machine's time in the archive", "release/archive.py", "entry.mtime, entry.mode = len(files[name]), time, 0o644", "entry.mtime, entry.mode = len(files[name]), time + 1, 0o644"),
    _delivery("links in an archive", "release/archive.py", "return plain and parts_ok", "return parts_ok"),
    _delivery("unlisted files in an archive", "release/archive.py", "    if listed != set(files):", "    if listed - set(files):"),
    _delivery("swapped bytes in an archive", "release/archive.py", "!= (entry.size, entry.sha256):", "== ():"),
    _delivery("a damaged archive", "release/archive.py", "packed.read(_MOST + 1)", "packed.read1(_MOST + 1)"),
    _delivery("releases are opened unseen", "prepare.py", "        refuse_forbidden(self.opened.folder, target.name)\n", "",
              f"{RELEASES}test_a_malicious_release_is_refused_before_it_can_do_anything"),
    _delivery("the release says where it goes", "prepare.py", "            if given != expected:", "            if False:",
              f"{RELEASES}test_a_malicious_release_is_refused_before_it_can_do_anything"),
    # Plans
    _delivery("planners in the plan", "plan.py", "if change[\"action\"] == \"skip\" or (owners and", "if change[\"action\"] == \"skip\" or (False and"),
    _delivery("new rights by whoever plans", "plan.py", "hidden if key.endswith(\".permissions\") else frozenset()", "frozenset()"),
    _delivery("new rights are not listed", "plan.py", "fields, value = list(_given(rights)), rights", "value = rights"),
    _delivery("plans without a time zone", "plan.py", "    expires: AwareDatetime", "    expires: datetime"),
    _delivery("secrets in plans", "plan.py", 'return "(hidden)"', "return value"),
    _delivery("skipped fields count", "plan.py", '        if change["action"] == "skip" or', "        if"),
    _delivery("edited plans", "plan.py", "if sums != (plan.digest, _checksum(document[\"plan\"])):", "if False:"),
    _delivery("expired plans", "plan.py", "if now > plan.expires:", "if False:"),
    _delivery("what moved is not compared", "deploy.py", "differences = moved(self.approved, plan) if self.approved else []", "differences: list[str] = []",
              f"{REFUSALS}test_a_hand_edit_after_the_plan_is_refused_by_name"),
    # Guard
    _delivery("unknown kinds hold nothing", "guard.py", "return kind not in HOLD_NO_DATA", 'return kind in ("schemas", "volumes")'),
    _delivery("a rename is no loss", "guard.py", 'DESTROYS = ("delete", "recreate", "update_id")', 'DESTROYS = ("delete", "recreate")'),
    _delivery("named beats protected", "guard.py", "    if key in situation.policy.guard.protected:", "    if key in situation.policy.guard.protected and key not in situation.named:"),
    _delivery("exceptions for ever", "guard.py", "if a.until >= today and a.id not in self.used", "if a.id not in self.used"),
    _delivery("exceptions again and again", "guard.py", "if a.until >= today and a.id not in self.used", "if a.until >= today"),
    _delivery("all jobs may go", "guard.py", "if len(lost) > limit and not situation.back:", "if False:"),
    _delivery("a fifth does not count", "guard.py", "min(situation.policy.guard.jobs_deleted, total // 5)", "situation.policy.guard.jobs_deleted"),
    _delivery("wider rights", "guard.py", 'verdict="allow" if permitted else "refuse"', 'verdict="allow"'),
    _delivery("too wide from the start", "guard.py", '_wide(changed) or ("" if of_new', '("" if of_new'),
    _delivery("an exception is spent on a mark", "guard.py", "if not refuses or situation.back:", "if (not refuses and not situation.exception(key)) or situation.back:"),
    _delivery("a library is replaced", "guard.py", "if old - new else", "if old and not new else"),
    _delivery("the second try is not judged", "deploy.py", "if change.action in DESTROYS and change.key not in seen:", "if False:"),
    _delivery("a refusal is only told", "deploy.py", "        if plan.refused:\n", "        if False:\n",
              f"{REFUSALS}test_what_holds_data_goes_only_when_it_is_named"),
    # Ledger and lock
    _delivery("gaps in the ledger", "ledger.py", "            if name.seq != expected:", "            if False:"),
    _delivery("a broken chain", "ledger.py", "if self.read(name).previous != before:", "if False:"),
    _delivery("newer events are guessed", "ledger.py", 'if document.get("schema", 0) > SCHEMA:', "if False:"),
    _delivery("events of others", "ledger.py", "if (event.project, event.target) != (", "if () == ("),
    _delivery("a broken lock writes on", "ledger.py", "if self.workspace.read(self._lock) != lock.content():", "if False:"),
    _delivery("the lock of another is removed", "ledger.py", "            if self.workspace.read(self._lock) == lock.content():\n", "            if True:\n"),
    _delivery("no lock", "ledger.py", "while not self.workspace.create(self._lock, lock.content()):", "while False:",
              f"{REFUSALS}test_of_two_at_once_one_wins_and_the_other_is_told_who"),
    _delivery("blocked releases are good", "ledger.py", "reversed(before) if r not in self.blocked", "reversed(before)"),
    _delivery("blocked releases are delivered", "prepare.py", "if manifest.release in self.standing.blocked:", "if False:",
              f"{STORY}test_a_release_that_fails_its_verification_goes_back_by_itself"),
    # Targets
    _delivery("a missing marker is a new target", "store.py", "        if content is None:\n            raise DeliveryError(\n                f\"target", "        if content is None:\n            return\n            raise DeliveryError(\n                f\"target",
              f"{REFUSALS}test_a_target_that_is_not_ours_is_refused"),
    _delivery("another project's target", "store.py", "        if project != target.project:", "        if False:",
              f"{REFUSALS}test_a_second_project_of_the_same_name_is_refused"),
    _delivery("an unexplained state", "prepare.py", "if state.entries and not self.standing.explained:", "if False:",
              f"{REFUSALS}test_a_state_that_no_event_explains_is_refused"),
    _delivery("receipts for other bytes", "prepare.py", "elif receipt.digest != manifest.digest:", "elif False:",
              f"{REFUSALS}test_a_forged_receipt_is_refused"),
    _delivery("receipts of any kind", "prepare.py", 'elif (receipt.kind, receipt.target, receipt.project) != (', "elif () != () and () != (",
              f"{REFUSALS}test_a_forged_receipt_is_refused"),
    _delivery("prod without approval", "approval.py", '    mode = policy.approval_of(target)', '    mode = "none"',
              f"{REFUSALS}test_prod_asks_for_receipt_plan_and_approval"),
    # The way back and what is kept
    _delivery("verification proves nothing", "verify.py", '    elif run.state == "failed":', '    elif run.state == "":',
              f"{STORY}test_a_release_that_fails_its_verification_goes_back_by_itself"),
    _delivery("what failed is not blocked", "deploy.py", 'lock, "blocked", release, digest=', 'lock, "unblocked", release, digest=',
              f"{STORY}test_a_release_that_fails_its_verification_goes_back_by_itself"),
    _delivery("going back keeps nothing", "prepare.py", "        if self.wishes.back:\n            kept |=", "        if False:\n            kept |=",
              f"{STORY}test_going_back_keeps_what_holds_data_until_it_is_named"),
    _delivery("the next release forgets what is kept", "deploy.py", '"retained": prepared.plan.retained,', '"retained": [],',
              f"{STORY}test_going_back_keeps_what_holds_data_until_it_is_named"),
    _delivery("grants are not kept", "retain.py", 'for part in ("permissions", "grants"):', 'for part in ("permissions",):'),
    _delivery("a kind that nobody tried is kept", "retain.py", "    if kind not in _STATE_ONLY:", "    if False:"),
    _delivery("doubles stay", "deploy.py", "            if job in doubles:", "            if False:",
              f"{BAD_DAYS}test_a_lost_answer_leaves_no_double"),
]

TEMPLATE_FAULTS = [
    Fault("an option that does nothing", "hooks/post_gen_project.py",
          'if variant.name in {f"{name}={value}" for name, value in answers.items()}:', "if False:",
          "tests/test_bake.py::test_a_variant_changes_these_files_and_no_others"),
    Fault("features stay", "hooks/post_gen_project.py", "if not all(answers[name] in values", "if not any(True or answers[name] in values",
          "tests/test_bake.py::test_exactly_the_expected_files_are_there"),
    Fault("options are left behind", "hooks/post_gen_project.py", "    shutil.rmtree(options)\n", "    pass\n",
          "tests/test_bake.py::test_exactly_the_expected_files_are_there"),
    Fault("one identity for all", "hooks/post_gen_project.py", "uuid.uuid4()", "uuid.UUID(int=4, version=4)",
          "tests/test_bake.py::test_every_project_has_an_identity_of_its_own"),
    Fault("a failing git fails all", "hooks/post_gen_project.py", "except (OSError, subprocess.CalledProcessError)", "except (OSError)",
          "tests/test_bake.py::test_a_failing_git_does_not_fail_the_project"),
    Fault("a repository in a repository", "hooks/post_gen_project.py", 'if any((folder / ".git")', 'if False and any((folder / ".git")',
          "tests/test_bake.py::test_inside_another_repository_there_is_none_and_it_says_so"),
    Fault("git's variables lead astray", "hooks/post_gen_project.py", 'name.startswith("GIT_")', 'name.startswith("XGIT_")',
          "tests/test_bake.py::test_variables_of_git_do_not_lead_it_astray"),
    Fault("hooks are not wired", "hooks/post_gen_project.py", "        wire_hooks(shim)\n", "",
          "tests/test_bake.py::test_the_first_commit_holds_everything_and_hooks_are_wired"),
    Fault("no branches for environments", "hooks/post_gen_project.py", '            git("branch", branch)', "            pass",
          "tests/test_bake.py::test_branching_decides_which_branch_delivers"),
    Fault("the commit is signed", "hooks/post_gen_project.py", '"commit.gpgsign=false", ', "",
          "tests/test_bake.py::test_a_signing_user_is_not_asked_to_sign"),
    Fault("quotes pass the judge", "answers.py", "set('\"\\\\`<>')", "set('\\\\`<>')",
          "tests/test_answers.py::test_any_other_project_name_is_refused"),
    Fault("answers are templates", "answers.py", "return \"{{ \" + ascii(source) + \" }}\"", "return source",
          "tests/test_answers.py::test_an_answer_is_never_run_as_a_template"),
    Fault("any host", "answers.py", "given.endswith(_DOMAINS[cloud])", "True",
          "tests/test_answers.py::test_a_workspace_address_is_a_host_of_the_cloud_and_nothing_more"),
    Fault("device names", "answers.py", "and given not in _DEVICES", "",
          "tests/test_answers.py::test_any_other_slug_is_refused"),
    Fault("one problem at a time", "answers.py", 'listed = "\\n".join(map(str, found))', "listed = str(found[0])",
          "tests/test_answers.py::test_all_problems_are_told_at_once_with_what_was_given_and_an_example"),
    Fault("a bad answer passes", "cookiecutter.json", '"{{ cookiecutter | checked }}"', '""',
          "tests/test_answers.py::test_a_refusal_on_the_command_line_is_one_message_and_no_folder"),
    Fault("clouds share machines", "cookiecutter.json", "'azure': 'Standard_D4ads_v5'", "'azure': 'm6id.xlarge'",
          "tests/test_bake.py::test_a_cloud_decides_addresses_and_machines"),
    Fault("prod is delivered from main", "cookiecutter.json", "{{ 'prod' if", "{{ 'main' if",
          "tests/test_bake.py::test_branching_decides_which_branch_delivers"),
    Fault("carriage returns", ".gitattributes", "* text=auto eol=lf", "* text=auto",
          "tests/test_bake.py::test_line_ends_survive_a_clone_that_would_change_them"),
    _project("an unpinned engine", "pyproject.toml", '"pysail==0.7.2"', '"pysail>=0.7.2"',
             "tests/test_repository.py::test_versions_below_one_are_pinned_exactly_and_others_bounded"),
    _project("updates change the identity", "pyproject.toml", 'skip = [".git", "targets/identity.yml"]', "skip = []",
             "tests/test_update.py::test_an_update_keeps_identity_and_edits_and_brings_what_is_new"),
    _project("both engines at once", "pyproject.toml", 'conflicts = [[{ group = "local" }, { group = "connect" }]]\n', "",
             "tests/test_project.py::test_the_workspace_environment_excludes_the_embedded_engine"),
    _project("tests that do not fail", "Makefile", '-m "not parity" --cov', '-m "not parity" --cov || true',
             "tests/test_project.py::test_a_failing_test_fails_make"),
    _project("checks that do not fail", "Makefile", "\t@$(BIN)/mypy\n", "\t-@$(BIN)/mypy\n",
             "tests/test_project.py::test_a_failing_check_fails_make"),
    _project("hashes in requirements", "Makefile", "--no-hashes ", "",
             "tests/test_project.py::test_the_wheel_and_its_requirements_are_what_jobs_install"),
    _project("requirements are ignored anywhere", ".gitignore", "/requirements.txt", "requirements.txt",
             "tests/test_bake.py::test_the_first_commit_holds_everything_and_hooks_are_wired"),
    _project("an action by its tag", ".github/workflows/check.yml",
             "actions/checkout@3d3c42e5aac5ba805825da76410c181273ba90b1", "actions/checkout@v7",
             "tests/test_pipelines.py::test_every_action_is_pinned_by_its_commit"),
    _project("a pipeline that may write", ".github/workflows/check.yml", "contents: read", "contents: write",
             "tests/test_pipelines.py::test_jobs_may_read_and_nothing_more"),
    _project("a pipeline that does not test", ".github/workflows/check.yml", "      - run: make test\n", "",
             "tests/test_pipelines.py::test_github_checks_every_request_and_the_branches_that_deliver"),
    _project("a pipeline that swallows", ".gitlab-ci.yml", "    - make test\n", "    - make test || true\n",
             "tests/test_pipelines.py::test_a_gitlab_script_is_commands_that_a_person_can_type"),
    _project("a pipeline for other branches", "options/branching=environments/.gitlab-ci.yml",
             ' || $CI_COMMIT_BRANCH == "prod"', "",
             "tests/test_pipelines.py::test_gitlab_checks_every_request_and_the_branches_that_deliver"),
    _project("a workflow key misspelt", ".github/workflows/check.yml", "    runs-on:", "    run-on:",
             "tests/test_pipelines.py::test_workflows_fit_their_published_schemas"),
    _project("commit messages of any form", ".pre-commit-config.yaml", "entry: .venv/bin/conventional-pre-commit", "entry: 'true'",
             "tests/test_conventions.py::test_messages_follow_conventional_commits"),
    _project("secrets pass the hook", ".pre-commit-config.yaml", "entry: .venv/bin/detect-secrets-hook --no-verify", "entry: 'true'",
             "tests/test_conventions.py::test_what_is_not_right_is_refused"),
    _project("the shim lets commits pass", "options/git-hook.sh", "exit 1", "exit 0",
             "tests/test_conventions.py::test_before_set_up_a_commit_is_refused_and_says_what_to_type"),
    _project("an answer without quotes", "delivery.yml", 'compute: "{{ cookiecutter.compute }}"', "compute: {{ cookiecutter.compute }}",
             "tests/test_bake.py::test_answers_stand_between_double_quotes_in_yaml"),
    Fault("the pipeline swallows failures", ".ci/run", "exec make test", "make test || true",
          "tests/test_pipelines.py::test_a_failing_test_fails_the_pipeline"),
]

# fmt: on
FAULTS = [*BUNDLE_FAULTS, *SOURCE_FAULTS, *TOOL_FAULTS, *DELIVERY_FAULTS, *TEMPLATE_FAULTS]
