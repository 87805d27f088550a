"""Deliberate faults in the guide, and in what it tells about: each must turn its test red."""

from __future__ import annotations

from mutants.faults import PROJECT, Fault

DOCS = f"{PROJECT}/docs"
TESTS = "tests/project/test_guide.py"
HOLDS = f"{TESTS}::test_links_commands_and_tables_hold_in_every_project"
SITE, SHOWN = f"{PROJECT}/tools/docs_site", "tests/project/test_docs_site.py"
REFUSALS, LEFT = "tests/tool/test_refusals.py", "tests/deployments/test_leftovers.py"
TOOL = f"{PROJECT}/tools/delivery/src/delivery"
SAYS = f"{TESTS}::test_the_commands_of_the_guide_say_what_it_shows"


# fmt: off
GUIDE_FAULTS = [
    Fault("guide: an example of a resource is refused", f"{DOCS}/kinds.md", "          environment_key: dbt\n", "", f"{TESTS}::test_the_examples_of_resources_pass_every_check[serverless]"),
    Fault("guide: a table over two domains that follows nothing", "{{cookiecutter.project_slug}}/CONTRIBUTING.md", "partial(transform.airlines, airlines=airlines),", "transform.airlines,", "tests/project/test_domains.py::test_a_table_over_two_domains_works_as_the_guide_shows_it"),
    Fault("guide: a dead link", f"{DOCS}/runbooks/drift.md", "## Done when", "See [there](../drifting.md).\n\n## Done when", HOLDS),
    Fault("guide: a heading that moved", f"{DOCS}/environments.md", "## Who may do what", "## Rights", HOLDS),
    Fault("guide: a page that the index forgets", f"{DOCS}/README.md", "| [a stuck lock](runbooks/stuck-lock.md) | every deploy is refused because another run holds the lock |\n", "", HOLDS),
    Fault("guide: a command that is none", f"{DOCS}/first-day.md", "delivery doctor\n", "delivery doctors\n", HOLDS),
    Fault("guide: an option that is none", f"{DOCS}/delivery.md", "`--allow-destroy volumes", "`--destroy volumes", HOLDS),
    Fault("guide: a target of make that is none", f"{DOCS}/first-day.md", "make setup  ", "make set-up ", HOLDS),
    Fault("guide: a wrong identity in the table", f"{DOCS}/github/pipelines.md", "planner of prod", "planner of staging", HOLDS),
    Fault("guide: a row too few", f"{PROJECT}/.gitlab/ci/drift.yml", "drift-prod:\n  extends: .drift", "drift-of-prod:\n  extends: .drift", HOLDS),
    Fault("guide: a right that nobody is told of", f"{PROJECT}/.github/workflows/rollback.yml", "      actions: read # who approved\n", "      issues: write\n", HOLDS),
    Fault("guide: another trigger than the table has", f"{PROJECT}/.github/workflows/deliver.yml", "branches: [main]", "branches: [main, later]", HOLDS),
    Fault("guide: the other forge's pages stay", f"{PROJECT}/options/features.json", ', "docs/gitlab"', "", f"{TESTS}::test_a_project_has_pages_for_its_own_forge_alone"),
    Fault("guide: strategies tell different stories", f"{DOCS}/gitlab/pipelines.md", "protected branches only", "any branch", f"{TESTS}::test_both_strategies_have_one_page_of_pipelines_but_for_its_table"),
    Fault("guide: a first day that keeps its settings to itself", f"{DOCS}/first-day.md", 'git commit -am "chore: the first day"\n', "",
          f"{TESTS}::test_what_the_first_day_types_works_and_leaves_nothing_to_warn_of"),
    Fault("guide: a new pipeline without a word", f"{PROJECT}/tests/guide/test_guide.py", "assert shown == expected", "assert True",
          f"{TESTS}::test_a_new_pipeline_is_told_with_the_row_that_it_needs"),
    Fault("guide: a screen that is not so", f"{DOCS}/runbooks/rollback.md", "deployed and verified", "deployed", SAYS),
    Fault("guide: a screen that the tool left", f"{PROJECT}/tools/delivery/src/delivery/cli/prune.py", 'f"{release} {verb}"', 'f"{release}: {verb}"', SAYS),
    Fault("guide: a refusal that is none", f"{DOCS}/delivery.md", "### Without an approval\n\n```console exit:3", "### Without an approval\n\n```console", SAYS),
    Fault("guide: a hotfix without staging's leave", f"{PROJECT}/options/branching=environments/docs/branching.md", "git revert --no-edit origin/hotfix/to-staging\n", "",
          f"{TESTS}::test_a_hotfix_past_unreleased_work_leaves_it_out_and_brings_it_back"),
    Fault("guide: a hotfix that takes the waiting work along", f"{PROJECT}/options/branching=environments/docs/branching.md", "git switch -c hotfix/wrong-totals origin/prod", "git switch -c hotfix/wrong-totals origin/staging",
          f"{TESTS}::test_a_hotfix_past_unreleased_work_leaves_it_out_and_brings_it_back"),
    Fault("guide: a refusal without an entry", f"{DOCS}/refusals.md", "### dirty-tree\n", "### dirty\n", f"{REFUSALS}::test_every_refusal_has_one_entry_and_every_entry_is_a_refusal"),
    Fault("guide: an entry of another message", f"{DOCS}/refusals.md", "release: the working tree has changes", "release: the tree has changes", f"{REFUSALS}::test_an_entry_begins_with_words_of_its_message_and_says_what_to_do"),
    Fault("guide: a message without its entry", f"{TOOL}/cli/app.py", "error.explained", "str(error)", f"{REFUSALS}::test_the_last_line_of_a_message_names_its_entry"),
    Fault("guide: a decision that nobody explains", f"{TOOL}/plan/model.py", 'raise ValueError("a refusal needs its name")', "pass", f"{REFUSALS}::test_a_decision_cannot_refuse_without_a_reason_that_the_guide_explains"),
    Fault("guide: an entry is named twice", f"{TOOL}/refusals.py", "dict.fromkeys(refusals)", "refusals", f"{REFUSALS}::test_several_reasons_are_named_once_each"),
    Fault("guide: a plan does not say where it is explained", f"{TOOL}/render/text.py", '        yield f"    See {entries(plan.refusal_names)}"\n', '        yield ""\n', "tests/tool/test_screens.py::test_a_plan_shows_code_as_one_line_and_drift_as_such"),
    Fault("guide: a picture of another job", f"{DOCS}/pictures/job.svg", "wheel: flights.gold", "wheel: flights.golden", f"{TESTS}::test_pictures_show_what_the_tool_makes[job]"),
    Fault("guide: a tour that nobody takes", "docs/tour.txt", "staging: no drift", "staging: drifts", "tests/deployments/test_tour.py::test_the_tour_is_taken_from_the_first_to_the_last_stop"),
    Fault("guide: another default shape", f"{DOCS}/choosing.md", "| **serverless** |", "| **classic** |", f"{SHOWN}::test_the_bold_shape_is_that_of_the_default_answers"),
    Fault("guide: an option that the CLI does not have", f"{DOCS}/coming-from.md", "--config-dir resources", "--folder resources", f"{SHOWN}::test_the_cli_has_the_commands_of_those_who_come_from_elsewhere"),
    Fault("site: conventions that nobody has", f"{SITE}/conventions.py", "for text, is_wanted in wanted.items() if is_wanted", "for text in wanted", f"{SHOWN}::test_a_convention_that_is_dropped_is_not_on_its_page"),
    Fault("site: conventions without approvals", f"{SITE}/conventions.py", "_APPROVALS[policy.approval_of(target)]", '""', f"{SHOWN}::test_the_conventions_are_those_of_the_policy"),
    Fault("example: a commit for each merge", "scripts/example.py", 'if _git("rev-parse", f"{tip}^{{tree}}") == tree:', "if not tree:", "tests/template/test_example.py::test_the_example_is_published_when_it_differs"),
    Fault("example: published without being asked", ".github/workflows/example.yml", "    if: vars.EXAMPLE == 'on'\n", "", "tests/template/test_example.py::test_the_workflow_runs_where_it_is_wanted_and_may_only_push"),
    Fault("adopt: a job whose name others have", f"{TOOL}/operations/adopt.py", "(found if len(same) == 1 else shared)", "(found if same else shared)", f"{LEFT}::test_what_people_made_is_adopted_at_once_by_its_name[fake]"),
    Fault("adopt: a job of another bundle", f"{TOOL}/operations/adopt.py", "(job.name, job.deployment) == (name, \"\")", "job.name == name", f"{LEFT}::test_what_people_made_is_adopted_at_once_by_its_name[fake]"),
    Fault("site: a broken link is nothing", f"{SITE}/__main__.py", '"build", "--strict"', '"build"', f"{SHOWN}::test_a_broken_link_is_an_error"),
    Fault("site: findings without a place", f"{SITE}/__main__.py", 'f"{place}: {what}"', 'f"{what}"', f"{SHOWN}::test_a_broken_link_is_an_error"),
    Fault("site: lines are counted after drawing", f"{SITE}/diagram.py", 'found[0].count("\\n")  #', "0  #", f"{SHOWN}::test_a_broken_link_is_an_error"),
    Fault("site: a font of another host", f"{SITE}/mkdocs.yml", "  font: false\n", "", f"{SHOWN}::test_no_page_loads_anything_from_another_host"),
    Fault("site: pages that nothing leads to", f"{SITE}/__main__.py", "yield {title: entries}", "yield {title: entries[:3]}", f"{SHOWN}::test_every_page_of_the_guide_is_in_the_site_and_its_navigation"),
    Fault("site: diagrams as text", f"{SITE}/__main__.py", "return with_diagrams(re.sub", "return (re.sub", f"{SHOWN}::test_every_flowchart_is_drawn"),
    Fault("site: commands without their last option", f"{SITE}/reference.py", "map(_parameter, command.params)", "map(_parameter, command.params[:-1])", f"{SHOWN}::test_every_command_has_its_entry_with_every_option"),
    Fault("site: subcommands are forgotten", f"{SITE}/reference.py", 'if hasattr(command, "commands")', 'if hasattr(command, "others")', f"{SHOWN}::test_every_command_has_its_entry_with_every_option"),
    Fault("site: settings without their section", f"{SITE}/reference.py", '_setting(f"{prefix}{key}"', '_setting(f"{key}"', f"{SHOWN}::test_every_setting_has_its_entry"),
    Fault("site: settings without what they are", f"{SITE}/reference.py", 'default, marked(field.get("description"))]', 'default, ""]', f"{SHOWN}::test_every_setting_has_its_entry"),
    Fault("site: rules without what they find", f"{SITE}/reference.py", "        yield marked(first)\n", "", f"{SHOWN}::test_every_rule_has_its_entry"),
    Fault("site: quality rules are left out", f"{SITE}/data.py", 'content.get("quality") or []', "[]", f"{SHOWN}::test_every_contract_is_documented_with_its_lineage_and_jobs"),
    Fault("site: jobs of all domains everywhere", f"{SITE}/data.py", "parent.name != domain", "parent.name == root", f"{SHOWN}::test_each_job_is_on_the_page_of_its_own_domain"),
    Fault("site: lineage without what is looked up", f"{SITE}/lineage.py", '"LOOKED_UP"', '"LOOKED"', f"{SHOWN}::test_lineage_knows_constants_and_does_not_guess"),
    Fault("site: lineage without pipelines", f"{SITE}/lineage.py", 'k.arg == "name"', 'k.arg == "table"', f"{SHOWN}::test_a_new_domain_appears_and_a_removed_one_does_not"),
    Fault("site: half a diagram", f"{SITE}/diagram.py", "            return None\n    return chart if", "            continue\n    return chart if", f"{SHOWN}::test_what_cannot_be_drawn_stays_as_text"),
    Fault("site: arrows through boxes", f"{TOOL}/render/layout.py", "range(steps[source] + 1, steps[goal])", "range(0)", f"{SHOWN}::test_an_arrow_past_a_layer_goes_around_its_boxes"),
    Fault("site: a traceback for a broken bundle", f"{SITE}/__main__.py", "except DeliveryError", "except KeyError", f"{SHOWN}::test_a_bundle_that_cannot_be_read_is_told_without_a_traceback"),
    Fault("site: not served", f"{PROJECT}/Makefile", "$(if $(SERVE),.venv-docs", "$(if $(SERVED),.venv-docs", f"{SHOWN}::test_the_site_is_served_here"),
    Fault("guide: a story with other rows", f"{DOCS}/first-story.md", "8,2024-01-02,north,-3\n", "8,2024-01-02,north,3\n", f"{SHOWN}::test_the_first_story_is_what_happens"),
    Fault("guide: a sample that check refuses", f"{DOCS}/how-to/sample-for-staging.md", "  - resources.jobs.flights_sample\n", "  - resources.jobs.sample\n", f"{SHOWN}::test_what_the_how_tos_say_to_write_passes_check"),
    Fault("guide: a statement that is none", f"{DOCS}/how-to/costs.md", "GROUP BY ALL\n", "GROUP ALL\n", f"{SHOWN}::test_code_in_how_tos_is_code"),
]
# fmt: on
