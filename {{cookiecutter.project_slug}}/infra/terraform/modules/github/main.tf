# GitHub's side: what `delivery doctor` checks there. The token of whoever applies needs Administration,
# Environments and Variables of the repository; it is in no file.

resource "github_repository_ruleset" "branches" {
  repository  = var.repository
  name        = "branches that deliver"
  target      = "branch"
  enforcement = "active"

  conditions {
    ref_name {
      include = [for branch in var.branches : "refs/heads/${branch}"]
      exclude = []
    }
  }

  rules {
    deletion         = true
    non_fast_forward = true

    # Without the second and the last, an author can push other changes after the approval.
    pull_request {
      required_approving_review_count = var.approvals
      dismiss_stale_reviews_on_push   = true
      require_code_owner_review       = var.approvals > 0
      require_last_push_approval      = var.approvals > 0
    }

    required_status_checks {
      dynamic "required_check" {
        for_each = var.checks

        content {
          context = required_check.value
        }
      }
    }
  }
}

resource "github_repository_environment" "this" {
  for_each = var.environments

  repository          = var.repository
  environment         = each.key
  can_admins_bypass   = !each.value.is_approved
  prevent_self_review = each.value.is_approved && var.approvals > 0

  dynamic "reviewers" {
    for_each = each.value.is_approved ? [var.reviewers] : []

    content {
      teams = reviewers.value.teams
      users = reviewers.value.users
    }
  }

  # Never "protected branches only": with rulesets alone it admits every branch.
  dynamic "deployment_branch_policy" {
    for_each = each.value.is_open ? [] : [true]

    content {
      protected_branches     = false
      custom_branch_policies = true
    }
  }
}

resource "github_repository_environment_deployment_policy" "this" {
  for_each = merge([
    for name, one in var.environments : { for branch in one.branches : "${name}/${branch}" => { environment = name, branch = branch } }
  ]...)

  repository     = var.repository
  environment    = github_repository_environment.this[each.value.environment].environment
  branch_pattern = each.value.branch
}

resource "github_actions_environment_variable" "this" {
  for_each = merge([
    for name, one in var.environments : { for key, value in one.variables : "${name}/${key}" => { environment = name, key = key, value = value } }
  ]...)

  repository    = var.repository
  environment   = github_repository_environment.this[each.value.environment].environment
  variable_name = each.value.key
  value         = each.value.value
}

resource "github_workflow_repository_permissions" "this" {
  repository                       = var.repository
  default_workflow_permissions     = "read"
  can_approve_pull_request_reviews = false
}

resource "github_actions_repository_permissions" "this" {
  repository           = var.repository
  enabled              = true
  allowed_actions      = "all"
  sha_pinning_required = true
}

# Last: from now on a merge is delivered.
resource "github_actions_variable" "delivery" {
  count = var.is_on ? 1 : 0

  repository    = var.repository
  variable_name = "DELIVERY"
  value         = "on"
  depends_on    = [github_repository_ruleset.branches, github_repository_environment_deployment_policy.this]
}
