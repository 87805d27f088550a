variable "repository" {
  description = "The name of the repository, without its owner."
  type        = string

  validation {
    condition     = can(regex("^[A-Za-z0-9_.-]+$", var.repository))
    error_message = "repository: given ${var.repository}, expected a name without its owner, such as lakehouse"
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

variable "approvals" {
  description = "How many approvals a request needs; 0 if somebody works alone."
  type        = number

  validation {
    condition     = var.approvals >= 0 && var.approvals <= 10 && floor(var.approvals) == var.approvals
    error_message = "approvals: given ${var.approvals}, expected a whole number from 0 to 10, such as 1"
  }
}

variable "checks" {
  description = "The jobs that must pass before a merge, by the names that GitHub shows."
  type        = set(string)

  validation {
    condition     = length(var.checks) > 0
    error_message = "checks: given none, expected at least one, such as [\"release\"]"
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

variable "reviewers" {
  description = "Who approves: the numbers of teams and of users, at most six together."
  type = object({
    teams = optional(set(number), [])
    users = optional(set(number), [])
  })

  validation {
    condition     = length(var.reviewers.teams) + length(var.reviewers.users) <= 6
    error_message = "reviewers: expected at most six, such as {teams = [1234567]}"
  }

  validation {
    condition = (
      !anytrue([for one in values(var.environments) : one.is_approved]) ||
      length(var.reviewers.teams) + length(var.reviewers.users) > 0
    )
    error_message = "reviewers: given none, expected at least one, such as {teams = [1234567]}: delivery.yml requires approvals. Without reviewers, set approval: {prod: dispatch} there"
  }
}

variable "is_on" {
  description = "Whether the pipelines deliver: the last step of the first day."
  type        = bool
  default     = false
}
