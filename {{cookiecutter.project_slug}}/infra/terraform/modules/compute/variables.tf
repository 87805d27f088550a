variable "account_id" {
  description = "The id of the account."
  type        = string

  validation {
    condition     = can(regex("^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$", var.account_id))
    error_message = "account_id: given ${var.account_id}, expected an id such as 11111111-2222-4333-8444-555555555555"
  }
}

variable "workspace_id" {
  description = "The number of the workspace."
  type        = number

  validation {
    condition     = var.workspace_id > 0 && floor(var.workspace_id) == var.workspace_id
    error_message = "workspace_id: given ${var.workspace_id}, expected a number such as 1234567890123456"
  }
}

variable "name" {
  description = "The name of the policies."
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]*$", var.name))
    error_message = "name: given ${var.name}, expected lowercase letters, digits and hyphens, such as lakehouse-staging"
  }
}

variable "node_type" {
  description = "The machine of job clusters."
  type        = string

  validation {
    condition     = length(var.node_type) > 0
    error_message = "node_type: given nothing, expected one of the cloud's, such as m6id.xlarge"
  }
}

variable "max_workers" {
  description = "The largest number of workers of a job cluster."
  type        = number
  default     = 8

  validation {
    condition     = var.max_workers >= 0 && floor(var.max_workers) == var.max_workers
    error_message = "max_workers: given ${var.max_workers}, expected a whole number such as 8"
  }
}

variable "tags" {
  description = "The tags by which the bill is divided."
  type        = map(string)

  validation {
    condition     = contains(keys(var.tags), "project")
    error_message = "tags: given ${jsonencode(var.tags)}, expected project among them"
  }
}

variable "has_cluster_policy" {
  description = "Whether to make a policy for job clusters."
  type        = bool
}

variable "has_budget_policy" {
  description = "Whether to make a budget policy for serverless compute; needs a billing admin."
  type        = bool
}

variable "application_ids" {
  description = "Who may use the policies: application ids by role."
  type        = map(string)

  validation {
    condition     = length(var.application_ids) > 0
    error_message = "application_ids: given none, expected at least one, such as {deployer = \"…\"}"
  }
}
