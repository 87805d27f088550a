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

variable "principals" {
  description = "The display names of the service principals, by role."
  type        = map(string)

  validation {
    condition     = alltrue([for name in values(var.principals) : length(name) > 0])
    error_message = "principals: given an empty name, expected one such as lakehouse-staging-deployer"
  }
}

variable "users" {
  description = "Who may run jobs as whom: the user, by the role that is used."
  type        = map(string)

  validation {
    condition     = length(setsubtract(concat(keys(var.users), values(var.users)), keys(var.principals))) == 0
    error_message = "users: given ${jsonencode(var.users)}, expected roles of principals, such as {runner = \"deployer\"}"
  }
}

variable "issuer" {
  description = "The issuer of the id tokens of the forge's jobs."
  type        = string

  validation {
    condition     = startswith(var.issuer, "https://")
    error_message = "issuer: given ${var.issuer}, expected an address such as https://token.actions.githubusercontent.com"
  }
}

variable "trusts" {
  description = "Which jobs may act as which role; the audience keeps jobs of one branch apart."
  type = map(object({
    environment = string
    role        = string
    audience    = string
    claim       = optional(string)
    subject     = string
  }))

  validation {
    condition     = alltrue([for one in values(var.trusts) : one.audience != "" && one.subject != "" && !strcontains(one.subject, "*")])
    error_message = "trusts: expected an audience, and a whole subject without *, of each"
  }
}
