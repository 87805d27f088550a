variable "previews_client_id" {
  description = "The application id of the identity of previews: an output of the stack preview."
  type        = string

  validation {
    condition     = can(regex("^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$", var.previews_client_id))
    error_message = "previews_client_id: given ${var.previews_client_id}, expected an id such as 22222222-3333-4444-8555-666666666666"
  }
}

variable "approvers" {
  description = "The number of the group that approves prod and the platform; null on a plan without approvals of deployments."
  type        = number
  default     = null

  validation {
    condition     = try(var.approvers > 0, var.approvers == null)
    error_message = "approvers: given ${jsonencode(var.approvers)}, expected the number of a group, or null"
  }
}

variable "has_premium" {
  description = "Whether the plan has code owners and approval rules (Premium)."
  type        = bool
  default     = true
}

variable "platform_client_id" {
  description = "The application id of the identity that applies Terraform in pipelines; empty if none does."
  type        = string
  default     = ""

  validation {
    condition     = var.platform_client_id == "" || can(regex("^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$", var.platform_client_id))
    error_message = "platform_client_id: given ${var.platform_client_id}, expected an id such as 33333333-4444-4555-8666-777777777777"
  }
}

variable "is_on" {
  description = "Whether the pipelines deliver: the last step of the first day."
  type        = bool
  default     = false
}
