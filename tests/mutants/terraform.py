"""Deliberate faults in the platform as Terraform, and in the import blocks."""

from __future__ import annotations

from mutants.faults import PROJECT, Fault, _tool

_FILES = "tests/project/test_terraform.py::"
_NAMES = f"{_FILES}test_names_are_those_of_bootstrap_on_each_cloud"
_SAME = f"{_FILES}test_terraform_makes_what_bootstrap_makes"
_BORDER = f"{_FILES}test_nothing_is_declared_in_both"
_FORGE = "tests/project/test_terraform_forge.py::"
_DOCTOR = f"{_FORGE}test_doctor_finds_nothing_wrong_in_what_terraform_makes"
_GATED = f"{_FORGE}test_terraform_s_own_jobs_are_gated_like_prod"
_PIPES = "tests/pipelines/test_terraform_pipelines.py::"
_GITHUB = f"{_PIPES}test_github_applies_only_what_reviewers_saw"
_GITLAB = f"{_PIPES}test_gitlab_applies_only_what_approvers_saw"
_REAL = "tests/deployments/test_terraform_applies.py::"
_IMPORTS = "tests/deployments/test_bootstrap.py::"
_IMPORTED = f"{_IMPORTS}test_what_is_there_is_imported_by_what_the_provider_finds_it_by"


def _own(module: str) -> str:
    """The tests of a module, which run with a mocked provider."""
    return f"{_FILES}test_a_module_passes_its_own_tests[{module}]"


def _platform(name: str, file: str, old: str, new: str, test: str) -> Fault:
    place = file if file.startswith((".", "options/")) else f"infra/terraform/{file}"
    return Fault(f"terraform: {name}", f"{PROJECT}/{place}", old, new, test)


def _imports(name: str, file: str, old: str, new: str, test: str) -> Fault:
    return _tool(f"imports: {name}", file, old, new)._replace(test=test)


# fmt: off
TERRAFORM_FAULTS = [
    # Names and rights
    _platform("another name of a principal", "modules/names/main.tf", '"${local.name}-${var.target}-${role}"', '"${local.name}-${role}-${var.target}"', _NAMES),
    _platform("defaults of the bundle win", "modules/names/main.tf", "try(local.target.variables[key], local.bundle.variables[key].default)", "try(local.bundle.variables[key].default, local.target.variables[key])",
              f"{_FILES}test_a_variable_of_the_target_replaces_the_bundle_s"),
    _platform("the runner creates schemas", "modules/names/main.tf", 'runner   = { role = "runner", group = null, privileges = ["USE_CATALOG"] }', 'runner   = { role = "runner", group = null, privileges = ["USE_CATALOG", "CREATE_SCHEMA"] }', _NAMES),
    _platform("the runner writes releases", "modules/names/main.tf", 'runner = "CAN_READ"', 'runner = "CAN_EDIT"', _NAMES),
    _platform("previews in the folder of releases", "modules/names/main.tf", 'preview  = dirname(', 'preview  = (', _NAMES),
    _platform("one audience for all", "modules/names/main.tf", 'audience    = "${local.name}-${environment}"', "audience    = local.name", _NAMES),
    _platform("prod trusts every branch on GitLab", "modules/names/main.tf", 'is_open = { "staging-plan" = true, preview = true }', 'is_open = { "staging-plan" = true, preview = true, prod = true }', _NAMES),
    _platform("another host of accounts", "modules/names/outputs.tf", '"https://accounts.azuredatabricks.net"', '"https://accounts.cloud.databricks.com"', _NAMES),
    _platform("an admin's token goes to any host", "modules/names/outputs.tf", '\\\\.(azuredatabricks\\\\.net|gcp\\\\.databricks\\\\.com|cloud\\\\.databricks\\\\.com)$', "", f"{_FILES}test_an_admin_s_token_is_sent_to_no_other_host"),
    _platform("the other form of a subject", "modules/names/main.tf", '"repo:${split("/", local.path)[0]}@', '"repo:${split("/", local.path)[0]}-', f"{_FILES}test_subjects_with_ids_are_those_of_bootstrap"),
    _platform("no repository is a repository", "modules/names/outputs.tf", 'local.kind == "dev" || (local.forge', 'true || (local.forge', f"{_FILES}test_without_a_repository_no_pipeline_is_trusted"),
    # What is made
    _platform("the catalog is isolated at once", "modules/catalog/main.tf", "!var.is_isolated || contains(", "true || contains(", _own("catalog")),
    _platform("the catalog stays open", "modules/catalog/main.tf", 'var.is_isolated ? "ISOLATED" : "OPEN"', '"OPEN"', _own("catalog")),
    _platform("isolated before it is bound", "modules/catalog/main.tf", 'var.is_isolated ? "ISOLATED" : "OPEN"', '"ISOLATED"', _own("catalog")),
    _platform("bound to be read", "modules/catalog/main.tf", "BINDING_TYPE_READ_WRITE", "BINDING_TYPE_READ_ONLY", _SAME),
    _platform("a catalog can be destroyed", "modules/catalog/main.tf", "prevent_destroy = true # it holds", "prevent_destroy = false # it holds", f"{_FILES}test_what_holds_data_is_not_destroyed"),
    _platform("rights on schemas", "modules/catalog/variables.tf", '["USE_CATALOG", "CREATE_SCHEMA", "BROWSE"]', '["USE_CATALOG", "CREATE_SCHEMA", "SELECT"]', _own("catalog")),
    _platform("principals are admins", "modules/identities/main.tf", '["USER"]', '["ADMIN"]', _SAME),
    _platform("the runner runs jobs as the deployer", "modules/identities/main.tf", "databricks_service_principal.this[each.key].application_id}/ruleSets", "databricks_service_principal.this[each.value].application_id}/ruleSets", _SAME),
    _platform("any audience", "modules/identities/main.tf", "audiences     = [each.value.audience]\n", "audiences     = []\n", _SAME),
    _platform("part of a subject", "modules/identities/variables.tf", ' && !strcontains(one.subject, "*")', "", _own("identities")),
    _platform("a folder where everybody writes", "modules/folder/variables.tf", ' && !startswith(var.path, "/Workspace/Shared")', "", _own("folder")),
    _platform("another folder", "modules/folder/main.tf", 'trimprefix(var.path, "/Workspace")', "dirname(var.path)", _SAME),
    _platform("the number of another workspace", "modules/environment/main.tf", "local.number == null || local.number == tostring(var.workspace_id)", "true", f"{_FILES}test_a_number_of_another_workspace_is_refused"),
    _platform("a warehouse that never stops", "modules/warehouse/variables.tf", "var.auto_stop_minutes >= 1", "var.auto_stop_minutes >= 0", _own("warehouse")),
    _platform("a second warehouse of the name", "modules/warehouse/variables.tf", 'var.name != null && var.name != "Serverless Starter Warehouse"', "var.name != null", _own("warehouse")),
    _platform("a bill that cannot be divided", "modules/compute/main.tf", '"custom_tags.${key}"', '"tags.${key}"', _own("compute")),
    _platform("a budget for all workspaces", "modules/compute/main.tf", "binding_workspace_ids = [var.workspace_id]", "binding_workspace_ids = []", _own("compute")),
    _platform("a Git folder among releases", "modules/git_folder/variables.tf", ' && !startswith(var.path, "/Workspace/Deployments")', "", _own("git_folder")),
    _platform("a binding of another workspace", "modules/catalog/main.tf", "workspace_id   = var.workspace_id", "workspace_id   = 1", f"{_REAL}test_two_applies_make_what_bootstrap_looks_for"),
    _platform("the real catalog is isolated at once", "modules/catalog/main.tf", 'var.is_isolated ? "ISOLATED" : "OPEN"', '"ISOLATED"', f"{_REAL}test_two_applies_make_what_bootstrap_looks_for"),
    # The border, and the files
    _platform("a schema in Terraform", "modules/catalog/main.tf", 'data "databricks_catalogs" "all" {}', 'data "databricks_catalogs" "all" {}\n\nresource "databricks_schema" "x" {\n  catalog_name = var.name\n  name         = "x"\n}', _BORDER),
    _platform("all grants of the catalog", "modules/catalog/main.tf", 'resource "databricks_grant" "this"', 'resource "databricks_grants" "this"', f"{_FILES}test_grants_name_one_principal_each"),
    _platform("a secret in the state", "modules/identities/main.tf", 'resource "databricks_mws', 'resource "databricks_service_principal_secret" "x" {\n  service_principal_id = 1\n}\n\nresource "databricks_mws', f"{_FILES}test_no_secret_is_in_a_state"),
    _platform("a key in the state's address", "backends/aws.tf.example", "    encrypt      = true\n", '    access_key   = "X"\n', f"{_FILES}test_each_stack_has_a_state_of_its_own_and_an_example_for_each_cloud"),
    _platform("a variable without a check", "modules/folder/variables.tf", "  validation {\n    condition     = can(regex", "  precondition {\n    condition     = can(regex", f"{_FILES}test_variables_are_typed_documented_and_validated"),
    _platform("a file that is not formatted", "stacks/prod/main.tf", "  account_id          = var", "  account_id = var", f"{_FILES}test_every_file_parses_and_is_formatted"),
    _platform("a variable that nobody uses", "modules/folder/main.tf", "    for_each = var.levels\n", "    for_each = {}\n", f"{_FILES}test_tflint_finds_nothing"),
    _platform("a stack with a misspelt argument", "stacks/prod/main.tf", "has_warehouse       = var", "has_warehouses      = var", f"{_FILES}test_a_stack_is_valid[prod]"),
    # The forge
    _platform("approvals outlive other changes", "modules/github/main.tf", "dismiss_stale_reviews_on_push   = true", "dismiss_stale_reviews_on_push   = false", _DOCTOR),
    _platform("actions may be moved", "modules/github/main.tf", "sha_pinning_required = true", "sha_pinning_required = false", _DOCTOR),
    _platform("a request needs one approval, whatever the policy says", "modules/github/main.tf", "required_approving_review_count = var.approvals", "required_approving_review_count = 1", _own("github")),
    _platform("authors approve themselves on GitHub", "modules/github/main.tf", "prevent_self_review = each.value.is_approved", "prevent_self_review = false", _DOCTOR),
    _platform("protected branches only", "modules/github/main.tf", "protected_branches     = false\n      custom_branch_policies = true", "protected_branches     = true\n      custom_branch_policies = false", _DOCTOR),
    _platform("prod without reviewers", "modules/forge/main.tf", "is_approved = contains(local.approved, name)", "is_approved = false", _DOCTOR),
    _platform("prod's planner from one branch alone", "modules/forge/main.tf", 'endswith(name, "-plan") ? local.branches : [', 'endswith(name, "-plan") ? [local.branches[0], "feature"] : [', _DOCTOR),
    _platform("audiences may be shared", "modules/github/variables.tf", "== length(var.environments)\n", "<= length(var.environments)\n", _own("github")),
    _platform("variables of another identity", "modules/forge/main.tf", "environment.client_id\n", "var.previews_client_id\n", _DOCTOR),
    _platform("ids of the template are ids", "modules/forge/outputs.tf", "length(local.unset) == 0", "true", _own("forge")),
    _platform("Terraform's jobs from any branch", "modules/forge/main.tf", 'branches    = [local.policy.branches.targets["prod"]]', "branches    = local.branches", f"{_GATED}[github]"),
    _platform("Terraform's jobs without reviewers", "modules/forge/main.tf", 'is_approved = contains(local.approved, "prod")', "is_approved = false", f"{_GATED}[github]"),
    # Pipelines
    _platform("a request applies", ".github/workflows/terraform.yml", "github.event_name == 'workflow_dispatch' && ", "", _GITHUB),
    _platform("an apply that asks nobody", ".github/workflows/terraform.yml", "    environment: terraform\n    env:\n      DIGEST", "    env:\n      DIGEST", _GITHUB),
    _platform("any plan is applied", ".github/workflows/terraform.yml", ' plan/platform.tfplan "$DIGEST"', " plan/platform.tfplan", _GITHUB),
    _platform("an apply that starts by itself", ".gitlab/ci/terraform.yml", "      when: manual\n", "", _GITLAB),
    _platform("an apply from any branch", ".gitlab/ci/terraform.yml", "        $CI_COMMIT_BRANCH == $PROD_BRANCH && $CI", "        $CI", _GITLAB),
    _platform("a plan over the code", ".gitlab/ci/terraform.yml", "    GIT_STRATEGY: empty\n", "    GIT_STRATEGY: fetch\n", _GITLAB),
    _platform("another plan than the approved one", "ci.sh", '    test "${4:-$found}" = "$found" ||', "    true ||", f"{_PIPES}test_exactly_the_approved_plan_is_applied"),
    _platform("a state on the runner", "ci.sh", '    test -f "$1/backend.tf" ||', "    true ||", f"{_PIPES}test_a_state_is_never_lost_with_a_runner"),
    _platform("stacks are not validated", "ci.sh", '        terraform -chdir="$folder" validate\n', "", f"{_PIPES}test_every_stack_is_validated_and_every_module_tested"),
    _platform("modules are not tested", "ci.sh", '        terraform -chdir="$folder" test\n', "", f"{_PIPES}test_every_stack_is_validated_and_every_module_tested"),
    _platform("a token that others read", "ci.sh", "        umask 077\n", "", f"{_PIPES}test_the_state_is_read_with_a_token_of_its_own"),
    _platform("any archive is installed", "ci.sh", '    echo "$sha256  $folder/terraform.zip" | sha256sum --check --quiet\n', "", f"{_PIPES}test_terraform_is_installed_by_its_hash"),
    _platform("a stage that no pipeline includes", "options/include_terraform=yes/.gitlab-ci.yml", "  - local: .gitlab/ci/terraform.yml\n", "", _GITLAB),
    # Import blocks
    _imports("what is not there is imported", "bootstrap/imports.py", 'if thing.state == "present"', "if thing", f"{_IMPORTS}test_what_is_not_there_is_left_to_terraform"),
    _imports("a second one of the name", "bootstrap/imports.py", "known = [one for one in needs.principals if one.id]", "known = [one for one in needs.principals if one.role in present]", f"{_IMPORTS}test_what_is_not_there_is_left_to_terraform"),
    _imports("the id of another assignment", "bootstrap/imports.py", 'f"{needs.workspace_id}|{one.id}"', 'f"{one.id}|{needs.workspace_id}"', _IMPORTED),
    _imports("a folder with its prefix", "bootstrap/imports.py", 'needs.folder.removeprefix("/Workspace")', "needs.folder", _IMPORTED),
    _imports("another policy", "bootstrap/needs.py", '            if _is_policy(policy.get("oidc_policy", {}), trust, subject):\n                return', "            if policy:\n                return", f"{_IMPORTS}test_subjects_with_ids_have_ids_of_their_own"),
    _imports("one address for both subjects", "bootstrap/imports.py", "{'-ids' if '@' in subject.value else ''}", "", f"{_IMPORTS}test_subjects_with_ids_have_addresses_of_their_own"),
    _imports("an id that the provider does not find", "bootstrap/imports.py", 'f"/directories/{needs.folder_id()}"', 'f"/folders/{needs.folder_id()}"', f"{_REAL}test_what_bootstrap_made_is_taken_over_and_not_made_again"),
    _imports("a resource is left out", "bootstrap/imports.py", '    yield Import(f"{_FOLDER}.databricks_permissions.this", f"/directories/{needs.folder_id()}")\n', "", f"{_FILES}test_imports_take_over_all_that_terraform_makes"),
    _imports("imports without a stack", "cli/imports.py", "    require_stack(root, target)\n", "", f"{_IMPORTS}test_imports_read_only_and_need_a_stack"),
    _imports("imports beside changes", "cli/imports.py", "    if is_changing:", "    if False:", f"{_IMPORTS}test_imports_read_only_and_need_a_stack"),
    _imports("what is hidden is left out silently", "cli/imports.py", "return Exit.BAD_INPUT if hidden else Exit.DONE", "return Exit.DONE", f"{_IMPORTS}test_what_may_not_be_seen_is_not_imported_silently"),
    # The option
    Fault("terraform: pages without the option", f"{PROJECT}/options/features.json", '"docs/how-to/terraform.md", ', "", "tests/template/test_bake.py::test_exactly_the_expected_files_are_there[default]"),
]
# fmt: on
