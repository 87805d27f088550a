output "environments" {
  description = "The environments of the pipelines."
  value       = keys(gitlab_project_environment.this)
}
