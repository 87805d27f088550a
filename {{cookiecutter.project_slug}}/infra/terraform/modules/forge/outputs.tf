output "path" {
  description = "The repository, such as team/lakehouse."
  value       = trim(replace(module.names["preview"].url, "/^https://[^/]+/", ""), "/")
}

output "server" {
  description = "The address of the forge."
  value       = try(regex("^https://[^/]+", module.names["preview"].url), "")
}

output "branches" {
  description = "The protected branches: that of requests, and those that deliver."
  value       = local.branches
}

output "approvals" {
  description = "How many approvals a request needs; 0 if somebody works alone."
  value       = try(local.policy.branches.approvals, 1)
}

output "prod_branch" {
  description = "The branch that delivers to prod."
  value       = local.policy.branches.targets["prod"]
}

output "environments" {
  description = "The environments of the pipelines: who may use them, and their variables."
  value       = local.environments

  precondition {
    condition     = length(local.unset) == 0
    error_message = "no application id for ${join(", ", local.unset)}: apply the stacks of the targets first, write their ids into targets/ with delivery bootstrap TARGET --apply, and give previews_client_id"
  }
}
