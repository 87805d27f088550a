output "id" {
  description = "The id of the warehouse."
  value       = databricks_sql_endpoint.this.id
}
