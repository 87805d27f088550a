# What the forge needs for all targets: the protected branches, and the environments of the pipelines
# with their variables. None of the variables is a secret.

locals {
  policy   = yamldecode(file("${var.root}/delivery.yml"))
  released = keys(local.policy.branches.targets)
}

module "names" {
  source   = "../names"
  for_each = toset(concat(local.released, ["preview"]))

  root       = var.root
  target     = each.value
  repository = var.repository
}

locals {
  # Terraform's own jobs are gated like prod.
  platform = {
    for name in(var.platform_client_id == "" ? [] : ["terraform"]) : name => {
      branches    = [local.policy.branches.targets["prod"]]
      is_approved = contains(local.approved, "prod")
      is_open     = false
      variables = {
        DATABRICKS_CLIENT_ID      = var.platform_client_id
        DATABRICKS_TOKEN_AUDIENCE = "${module.names["preview"].bundle}-terraform"
      }
    }
  }
  branches = module.names["preview"].branches
  approved = [for target, how in local.policy.approval : target if how == "environment"]
  environments = merge(local.platform, [
    for target, one in module.names : {
      for name, environment in one.environments : name => {
        # Drift and status read prod from each protected branch.
        branches    = environment.is_open ? [] : endswith(name, "-plan") ? local.branches : [environment.branch]
        is_approved = contains(local.approved, name)
        is_open     = environment.is_open
        variables = {
          DATABRICKS_HOST           = environment.host
          DATABRICKS_CLIENT_ID      = name == "preview" ? var.previews_client_id : environment.client_id
          DATABRICKS_TOKEN_AUDIENCE = environment.audience
        }
      }
    }
  ]...)
  # An id of the template stands for none.
  unset = [
    for name, one in local.environments : name
    if !can(regex("^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$", one.variables.DATABRICKS_CLIENT_ID)) ||
    startswith(one.variables.DATABRICKS_CLIENT_ID, "00000000-0000-0000-0000-")
  ]
}
