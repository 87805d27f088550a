variable "account_id" {
  description = "The id of the account: at the top right of the account console."
  type        = string

  validation {
    condition     = can(regex("^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$", var.account_id))
    error_message = "account_id: given ${var.account_id}, expected an id such as 11111111-2222-4333-8444-555555555555"
  }
}

variable "workspace_id" {
  description = "The number of the workspace: after o= in its address."
  type        = number

  validation {
    condition     = var.workspace_id > 0 && floor(var.workspace_id) == var.workspace_id
    error_message = "workspace_id: given ${var.workspace_id}, expected a number such as 1234567890123456"
  }
}

variable "catalog_is_isolated" {
  description = "Whether no other workspace sees the catalog; false only at the first apply, which binds it."
  type        = bool
  default     = true
}

variable "storage_root" {
  description = "Where the catalog keeps its tables; null for the metastore's own place."
  type        = string
  default     = null

  validation {
    condition     = var.storage_root == null || can(regex("^(s3|abfss|gs)://.+", var.storage_root))
    error_message = "storage_root: given ${jsonencode(var.storage_root)}, expected an address such as s3://bucket/path"
  }
}

variable "developers" {
  description = "The group that may create schemas in the catalog of dev."
  type        = string

  validation {
    condition     = length(var.developers) > 0
    error_message = "developers: given nothing, expected a group such as data-engineers"
  }
}

variable "git_folder" {
  description = "Where people find the integration branch in the workspace; null for nowhere."
  type        = string
  default     = null

  validation {
    condition     = var.git_folder == null || can(regex("^/Workspace/", var.git_folder))
    error_message = "git_folder: given ${jsonencode(var.git_folder)}, expected a path such as /Workspace/Shared/lakehouse, or null"
  }
}
