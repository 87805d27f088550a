output "host" {
  description = "The address of the workspace."
  value       = module.names.host
}

output "accounts_host" {
  description = "The address of the accounts of the workspace's cloud."
  value       = module.names.accounts_host
}

output "application_ids" {
  description = "The application ids by role, for targets/<target>.yml."
  value       = local.ids
}

output "policies" {
  description = "The ids of the policies that the bundle may refer to; null where there is none."
  value = {
    cluster = one(module.compute[*].cluster_policy_id)
    budget  = one(module.compute[*].budget_policy_id)
  }
}
