output "application_ids" {
  description = "The application ids by role, for targets/<target>.yml."
  value       = { for role, one in databricks_service_principal.this : role => one.application_id }
  depends_on  = [databricks_mws_permission_assignment.this] # the workspace knows only who is assigned to it
}
