output "bundle" {
  description = "The name of the bundle."
  value       = local.name
}

output "host" {
  description = "The address of the workspace."
  value       = local.host

  precondition {
    condition     = can(regex("^https://[a-z0-9.-]+$", local.host))
    error_message = "workspace.host in targets/${var.target}.yml: given ${local.host}, expected an address such as https://dbc-a1b2c3d4-e5f6.cloud.databricks.com"
  }
}

output "accounts_host" {
  description = "The address of the accounts of the workspace's cloud."
  value = (
    endswith(local.host, ".azuredatabricks.net") ? "https://accounts.azuredatabricks.net" :
    endswith(local.host, ".gcp.databricks.com") ? "https://accounts.gcp.databricks.com" :
    "https://accounts.cloud.databricks.com"
  )

  precondition {
    condition     = can(regex("\\.(azuredatabricks\\.net|gcp\\.databricks\\.com|cloud\\.databricks\\.com)$", local.host))
    error_message = "workspace.host in targets/${var.target}.yml: given ${local.host}, expected the address of a workspace: an admin's token is sent to no other host"
  }
}

output "catalog" {
  description = "The catalog of the target."
  value       = local.variables.catalog

  precondition {
    condition     = !strcontains(local.variables.catalog, "$")
    error_message = "catalog of ${var.target}: given ${local.variables.catalog}, expected a name without references"
  }
}

output "principals" {
  description = "The display names of the service principals, by role."
  value       = local.principals
}

output "users" {
  description = "Who may run jobs as whom: the user, by the role that is used."
  value       = local.users
}

output "grants" {
  description = "The privileges on the catalog, by who gets them: a role or a group."
  value       = local.grants
}

output "folder" {
  description = "The folder of releases; null if the target has none."
  value       = local.folder

  precondition {
    condition     = local.folder == null || can(regex("^/Workspace/[^$]+$", local.folder))
    error_message = "folder of ${var.target}: given ${local.folder == null ? "null" : local.folder}, expected a path below /Workspace without references other than bundle.name and bundle.target"
  }
}

output "levels" {
  description = "Who may do what in the folder, by role."
  value       = local.levels
}

output "issuer" {
  description = "The issuer of the id tokens of the forge's jobs."
  value       = local.issuer
}

output "trusts" {
  description = "Which jobs may act as which role."
  value       = local.trusts

  precondition {
    condition     = local.kind == "dev" || (local.forge != "" && strcontains(local.path, "/"))
    error_message = "the repository is not known: set project.url and project.forge in delivery.yml, such as https://github.com/team/lakehouse and github"
  }
}

output "environments" {
  description = "The variables of the forge's environments, by environment; client_id is empty until targets/ has it."
  value = {
    for environment, role in local.environments : environment => {
      host      = local.host
      audience  = "${local.name}-${environment}"
      client_id = try(local.target.variables[role], "")
      branch    = local.branch
      is_open   = lookup(local.is_open, environment, false)
    }
  }
}

output "node_type" {
  description = "The machine of job clusters."
  value       = local.variables.node_type
}

output "warehouse" {
  description = "The SQL warehouse that the bundle looks up by its name."
  value       = local.warehouse
}

output "is_classic" {
  description = "Whether jobs run on job clusters."
  value       = local.policy.project.compute == "classic"
}

output "url" {
  description = "The address of the repository."
  value       = local.address
}

output "branches" {
  description = "The protected branches: that of requests, and those that deliver."
  value       = distinct(concat([local.policy.branches.integration], values(local.policy.branches.targets)))
}

output "tags" {
  description = "The tags of what the target runs on, as the bundle's presets have them."
  value       = local.tags
}
