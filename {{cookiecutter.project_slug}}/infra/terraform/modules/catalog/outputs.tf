output "name" {
  description = "The catalog."
  value       = databricks_catalog.this.name
}
