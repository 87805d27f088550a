"""Deliberate faults in the guide, and in what it tells about: each must turn its test red."""

from __future__ import annotations

from mutants.faults import PROJECT, Fault

DOCS = f"{PROJECT}/docs"
TESTS = "tests/project/test_guide.py"
HOLDS = f"{TESTS}::test_links_commands_and_tables_hold_in_every_project"
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
]
# fmt: on
