output "cluster_policy_id" {
  description = "For policy_id of job clusters; null without the policy."
  value       = one(databricks_cluster_policy.this[*].id)
}

output "budget_policy_id" {
  description = "For budget_policy_id of jobs; null without the policy."
  value       = one(databricks_budget_policy.this[*].policy_id)
}
