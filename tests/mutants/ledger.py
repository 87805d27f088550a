"""Deliberate faults in what a target says of itself, and in what surrounds the tool."""

from __future__ import annotations

from mutants.faults import Fault, _tool

_LEDGER = "tests/deployments/test_ledger.py"


def _seen(name: str, file: str, old: str, new: str, test: str) -> Fault:
    """A fault that only a workspace shows."""
    return _tool(name, file, old, new)._replace(test=f"{_LEDGER}::{test}")


def _stored(name: str, file: str, old: str, new: str, test: str) -> Fault:
    """A fault that only shows what an earlier version wrote."""
    return _tool(name, file, old, new)._replace(test=f"tests/deployments/test_stored.py::{test}")


# fmt: off
LEDGER_FAULTS = [
    # other versions
    _tool("unknown fields of an event stop a target", "target/events.py", 'cls.model_validate(document, extra="ignore")', "cls.model_validate(document)"),
    _tool("unknown fields of a kept policy stop a target", "config/policy.py", 'cls.model_validate(dict(stored), extra="ignore")', "cls.model_validate(dict(stored))"),
    _tool("a newer policy is guessed", "config/policy.py", "schema > cls.SCHEMA", "False"),
    _tool("a newer manifest is guessed", "target/store.py", "schema > SCHEMA", "False"),
    _tool("a newer plan is guessed", "plan/model.py", "schema > SCHEMA", "False"),
    _tool("a newer marker is guessed", "target/store.py", "if schema > SCHEMA:", "if False:"),
    _tool("a digest without what a later version added", "release/manifest.py", 'model_config = ConfigDict(extra="allow", frozen=True)', 'model_config = ConfigDict(extra="ignore", frozen=True)'),
    _tool("a lock of a later version is nobody's", "target/lock.py", "            return cls(stored[\"id\"], stored[\"actor\"], stored[\"run_url\"], since, stored[\"what\"])\n", "            told = {\"since\": since, \"operation\": stored.pop(\"what\")}\n            return cls(**{k: v for k, v in stored.items() if k != \"at\"}, **told)\n"),
    _tool("what a version left out stops a target", "config/policy.py", "other.plan_hours or self.plan_hours", "other.plan_hours"),
    _seen("the whole policy is kept again", "deploy/apply.py", "planned.release_policy.terms.stored()", "planned.release_policy.model_dump(mode=\"json\")",
          "test_a_policy_field_that_a_later_version_dropped_stops_nothing[fake]"),
    _stored("rights of version 0.1 stop a target", "config/policy.py", '"warn" if v == "mark" else v', "v",
            "test_it_is_delivered_on_and_goes_back_to_what_the_earlier_version_built[fake]"),
    _stored("archives of earlier versions are looked for elsewhere", "target/store.py", "{self.target.root}/archives", "{self.target.root}/packages",
            "test_it_is_delivered_on_and_goes_back_to_what_the_earlier_version_built[fake]"),
    _stored("a plan of an earlier version is none", "plan/model.py", "0 < schema < SCHEMA", "False",
            "test_a_plan_that_the_earlier_version_saved_is_made_again[fake]"),
    # what is not visible
    _seen("a ledger that is gone is begun anew", "target/ledger.py", "if entries is None and not self.may_be_missing:", "if False:",
          "test_what_is_gone_is_never_taken_for_new[fake]"),
    _seen("a state that is gone is empty", "target/context.py", "if history.delivered and not state.content:", "if False:",
          "test_what_is_gone_is_never_taken_for_new[fake]"),
    _seen("403 is a failure", "workspace/client.py", "return self._call_sdk(path, call, NotFound, PermissionDenied)", "return self._call_sdk(path, call, NotFound)",
          "test_what_cannot_be_seen_is_never_taken_for_new[fake-marker-403]"),
    _seen("a lock is broken on a target that is not seen", "operations/lock.py", "    context.require_visible()\n    context.ledger.list_events()\n", "",
          "test_what_cannot_be_seen_is_never_taken_for_new[fake-marker-403]"),
    _seen("a marker before its ledger", "target/store.py", "        self.workspace.mkdirs(f\"{root}/ledger\")\n", "",
          "test_the_ledger_is_there_before_the_marker[fake]"),
    _tool("the lock makes a ledger", "target/ledger.py", "        self.list_events()  # refuses", "        # refuses"),
    # edited events
    _tool("an edited event is believed", "target/ledger.py", "if after and self._parsed(after).previous", "if False and self._parsed(after).previous"),
    _seen("an edited ledger is a target out of sight", "cli/status.py", "        except TamperedError:\n            raise\n", "",
          "test_an_edited_event_is_shown_by_every_command_that_reads_it[fake]"),
    # many years
    _tool("one folder for ever", "target/ledger.py", '(f"/{first:08d}" if first else "")', '""'),
    _tool("further folders are not read", "target/ledger.py", "folders = [e.path for e in entries or [] if _FOLDER.fullmatch(e.name)]", "folders: list[str] = []"),
    _tool("events of an earlier version are looked for elsewhere", "target/ledger.py", "return entry.path if entry else event_path", "return event_path"),
    _tool("two events of one number", "target/ledger.py", "        self._resolve_race(lock, name)\n", ""),
    _tool("whoever lost the lock stays", "target/ledger.py", "for name in rivals if is_held else [mine]:", "for name in rivals:"),
    _seen("a full folder is a riddle", "workspace/client.py", "hint = _FULL_HINT if getattr(error, \"error_code\", \"\") == _FULL else \"\"", "hint = \"\"", "test_a_full_folder_takes_no_more[fake]"),
    # surroundings
    _tool("a number that is none is taken", "environment.py", "if not (given.isascii() and given.isdecimal()) or int(given) < least:", "if int(given) < least:"),
    _tool("any text is an address", "environment.py", "    if not is_valid:\n", "    if False:\n"),
    _tool("the SDK stays in parts", "workspace/sdk.py", 'vars(_package)["__getattr__"] = _Rest(_package)', "pass"),
    _tool("the SDK is not where its package is", "workspace/sdk.py", "    setattr(importlib.import_module(parent), name, module)\n", ""),
    _tool("a program that never answers ends doctor", "workspace/bundle_cli.py", "environment, _ANSWER_SECONDS)", "environment, 5)"),
    _tool("the CLI's children go on", "workspace/bundle_cli.py", "os.killpg(process.pid, signal.SIGKILL)", "process.kill()"),
    _tool("calls of nobody", "workspace/bundle_cli.py", '            "DATABRICKS_CLI_UPSTREAM": USER_AGENT,\n', ""),
    _seen("own calls of nobody", "workspace/client.py", "        product=USER_AGENT,\n        product_version=__version__,\n    )\n    return Client", "    )\n    return Client",
          "test_the_tool_names_itself_in_its_own_calls_and_in_those_of_the_cli[fake]"),
    _tool("the work of a living process is removed", "target/workdir.py", "    except BlockingIOError:\n        return True\n", "    except BlockingIOError:\n        return False\n"),
    _tool("two containers in one folder", "target/workdir.py", "PROCESS_FOLDER = uuid.uuid4().hex", 'PROCESS_FOLDER = "7"'),
    _tool("a reason of several lines", "render/facts.py", '"".join(c if c.isprintable() else " " for c in text).split()', "[text]"),
    _tool("nobody approved, says history", "render/text.py", 'if event.approved_by else ""', 'if False else ""'),
    _tool("a finding's name is no rule", "checks/yaml.py", "@rule(\"duplicate\")\n", ""),
    _tool("only one name keeps the others", "checks/registry.py", "sorted(chosen or rules, key", "sorted(rules, key"),
    _tool("releases differ by their names", "release/diff.py", " if not _ALWAYS_DIFFERENT.search(d.path)]", "]"),
    _tool("a dynamic version ends a release", "release/build.py", "(OSError, ValueError, AttributeError, TypeError) as error", "(OSError, ValueError) as error"),
    _tool("a wheel without its commit", "release/build.py", "    _uv(source, \"version\", \"--frozen\", \"--quiet\", version)  # uv edits any form of TOML\n", "")._replace(
          test="tests/deployments/test_releases.py::test_the_commit_is_in_the_wheel_s_version_however_that_is_written[fake-version = '0.1.0']"),
    _tool("a name is a forge", "forge/environment.py", '.get(host, "")\n', '.get(host, "gitlab" if "gitlab" in host else "github")\n')._replace(
          test="tests/pipelines/test_forges.py::test_an_unknown_forge_is_never_guessed"),
    _tool("an answer that is cut off is a traceback", "forge/base.py", "except (OSError, HTTPException) as error:", "except OSError as error:"),
    _tool("a listing fails where nobody looks", "workspace/client.py", "            lambda: [*islice(list_runs(job_id=job, active_only=active, limit=limit), limit)],", "            lambda: islice(list_runs(job_id=job, active_only=active, limit=limit), limit),"),
    _tool("a pipeline of another spelling", "plan/existing.py", 'return path.removeprefix("/Workspace")', 'return path'),
]
# fmt: on
