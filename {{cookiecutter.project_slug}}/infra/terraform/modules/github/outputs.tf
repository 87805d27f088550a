output "environments" {
  description = "The environments of the pipelines."
  value       = keys(github_repository_environment.this)
}
