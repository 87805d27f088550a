# GitLab's side: what `delivery doctor` checks there, as far as the provider knows it. The token of
# whoever applies is a maintainer's, with the scope api; it is in no file. Tokens of jobs are not made
# here: their values would be in the state.

locals {
  reviewed = var.has_premium && var.approvals > 0 ? 1 : 0
}

resource "gitlab_branch_protection" "this" {
  for_each = toset(var.branches)

  project                      = var.project
  branch                       = each.value
  allow_force_push             = false
  push_access_level            = var.has_premium ? null : "no one"
  merge_access_level           = var.has_premium ? null : "maintainer"
  allowed_to_push              = var.has_premium ? [{ access_level = "no one" }] : null
  allowed_to_merge             = var.has_premium ? [{ access_level = "maintainer" }] : null
  code_owner_approval_required = var.has_premium ? var.approvals > 0 : null
}

resource "gitlab_project_level_mr_approvals" "this" {
  count = local.reviewed

  project                                        = var.project
  merge_requests_author_approval                 = false
  merge_requests_disable_committers_approval     = true
  reset_approvals_on_push                        = true
  disable_overriding_approvers_per_merge_request = true
}

resource "gitlab_project_approval_rule" "this" {
  count = local.reviewed

  project            = var.project
  name               = "All Members"
  rule_type          = "any_approver"
  approvals_required = var.approvals
}

# Those of previews, preview/…, are made by their pipelines.
resource "gitlab_project_environment" "this" {
  for_each = setsubtract(keys(var.environments), ["preview"])

  project = var.project
  name    = each.value
  tier    = lookup({ prod = "production", staging = "staging" }, each.value, "other")
}

resource "gitlab_project_protected_environment" "this" {
  for_each = toset([for name, one in var.environments : name if one.is_approved])

  project                        = var.project
  environment                    = gitlab_project_environment.this[each.value].name
  deploy_access_levels_attribute = [{ access_level = "maintainer" }]
  approval_rules                 = [{ group_id = var.approvers, required_approvals = 1 }]
}

# Requests use those of the open environments, so these are not protected.
resource "gitlab_project_variable" "this" {
  for_each = merge([
    for name, one in var.environments : {
      for key, value in one.variables : "${name}/${key}" => { scope = name == "preview" ? "preview/*" : name, key = key, value = value, is_open = one.is_open }
    }
  ]...)

  project           = var.project
  key               = each.value.key
  value             = each.value.value
  environment_scope = each.value.scope
  protected         = !each.value.is_open
  masked            = false
  raw               = true
}

resource "gitlab_pipeline_schedule" "nightly" {
  project     = var.project
  description = "drift, old previews, settings"
  ref         = "refs/heads/${var.nightly_branch}"
  cron        = "17 3 * * *"
}

# Last: from now on a merge is delivered.
resource "gitlab_project_variable" "delivery" {
  count = var.is_on ? 1 : 0

  project    = var.project
  key        = "DELIVERY"
  value      = "on"
  protected  = false
  masked     = false
  depends_on = [gitlab_branch_protection.this, gitlab_project_protected_environment.this]
}
