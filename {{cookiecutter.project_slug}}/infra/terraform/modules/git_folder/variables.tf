variable "url" {
  description = "The address of the repository."
  type        = string

  validation {
    condition     = startswith(var.url, "https://")
    error_message = "url: given ${jsonencode(var.url)}, expected an address such as https://github.com/team/lakehouse: set project.url in delivery.yml"
  }
}

variable "branch" {
  description = "The branch that is checked out."
  type        = string

  validation {
    condition     = length(var.branch) > 0
    error_message = "branch: given nothing, expected a branch such as main"
  }
}

variable "path" {
  description = "The Git folder."
  type        = string

  validation {
    condition     = can(regex("^/Workspace/[^/]+(/[^/]+)+$", var.path)) && !startswith(var.path, "/Workspace/Deployments")
    error_message = "path: given ${var.path}, expected one such as /Workspace/Shared/lakehouse, outside of the folders of releases"
  }
}

variable "provider_name" {
  description = "The kind of forge, as Databricks calls it; null if its host tells it."
  type        = string
  default     = null

  validation {
    condition     = var.provider_name == null || can(regex("^(gitHub|gitHubEnterprise|gitLab|gitLabEnterpriseEdition)$", var.provider_name))
    error_message = "provider_name: given ${jsonencode(var.provider_name)}, expected gitHub, gitHubEnterprise, gitLab or gitLabEnterpriseEdition"
  }
}
