variable "project" {
  description = "The project, such as team/lakehouse."
  type        = string

  validation {
    condition     = can(regex("^[^/]+(/[^/]+)+$", var.project))
    error_message = "project: given ${var.project}, expected a path such as team/lakehouse"
  }
}

variable "branches" {
  description = "The protected branches."
  type        = list(string)

  validation {
    condition     = length(var.branches) > 0 && alltrue([for name in var.branches : can(regex("^[A-Za-z0-9._/-]+$", name))])
    error_message = "branches: given ${jsonencode(var.branches)}, expected names without patterns, such as [\"main\"]"
  }
}

variable "nightly_branch" {
  description = "The branch of the nightly pipeline: the one that delivers to prod."
  type        = string

  validation {
    condition     = contains(var.branches, var.nightly_branch)
    error_message = "nightly_branch: given ${var.nightly_branch}, expected one of ${jsonencode(var.branches)}"
  }
}

variable "approvals" {
  description = "How many approvals a request needs; 0 if somebody works alone."
  type        = number

  validation {
    condition     = var.approvals >= 0 && var.approvals <= 10 && floor(var.approvals) == var.approvals
    error_message = "approvals: given ${var.approvals}, expected a whole number from 0 to 10, such as 1"
  }
}

variable "environments" {
  description = "The environments of the pipelines: the branches that may use them (all of them if they are open), and their variables."
  type = map(object({
    branches    = list(string)
    is_approved = bool
    is_open     = bool
    variables   = map(string)
  }))

  validation {
    condition     = alltrue([for one in values(var.environments) : one.is_open != (length(one.branches) > 0)])
    error_message = "environments: expected branches of each environment that is not open, and none of the others"
  }

  validation {
    condition     = length(distinct([for one in values(var.environments) : one.variables.DATABRICKS_TOKEN_AUDIENCE])) == length(var.environments)
    error_message = "environments: expected an audience of its own for each: a shared one lets jobs of one act as the other"
  }
}

variable "approvers" {
  description = "The number of the group that approves prod; null on a plan without approvals of deployments."
  type        = number
  default     = null

  validation {
    condition     = var.approvers != null || !anytrue([for one in values(var.environments) : one.is_approved])
    error_message = "approvers: given null, expected the number of a group: delivery.yml requires approvals. Without Premium, set approval: {prod: dispatch} there"
  }
}

variable "has_premium" {
  description = "Whether the plan has code owners and approval rules (Premium)."
  type        = bool
  default     = true
}

variable "is_on" {
  description = "Whether the pipelines deliver: the last step of the first day."
  type        = bool
  default     = false
}
