output "path" {
  description = "The folder, as the bundle calls it."
  value       = "/Workspace${databricks_directory.this.path}"
}
