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

variable "subjects" {
  description = "The forms of GitHub's subjects, as `delivery doctor` shows them: names, ids, or both."
  type        = set(string)
  default     = ["names"]

  validation {
    condition     = length(var.subjects) > 0 && length(setsubtract(var.subjects, ["names", "ids"])) == 0
    error_message = "subjects: given ${jsonencode(var.subjects)}, expected [\"names\"], [\"ids\"] or both"
  }
}

variable "subject_ids" {
  description = "The ids of the owner and of the repository on GitHub, for subjects that contain them."
  type = object({
    owner      = number
    repository = number
  })
  default = null

  validation {
    condition     = !contains(var.subjects, "ids") || var.subject_ids != null
    error_message = "subject_ids: given null, expected the ids, such as {owner = 11, repository = 22}: subjects has ids"
  }
}

variable "has_budget_policy" {
  description = "Whether to make a budget policy for serverless compute; needs a billing admin."
  type        = bool
  default     = false
}

variable "has_warehouse" {
  description = "Whether to make the SQL warehouse that the bundle looks up."
  type        = bool
  default     = false
}
