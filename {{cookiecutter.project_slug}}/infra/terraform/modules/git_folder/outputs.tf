output "path" {
  description = "The Git folder."
  value       = "/Workspace${databricks_repo.this.path}"
}
