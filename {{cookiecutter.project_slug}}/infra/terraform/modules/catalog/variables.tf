variable "name" {
  description = "The catalog."
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9_]*$", var.name))
    error_message = "name: given ${var.name}, expected lowercase letters, digits and _, such as lakehouse_staging"
  }
}

variable "workspace_id" {
  description = "The number of the workspace that the catalog is bound to."
  type        = number

  validation {
    condition     = var.workspace_id > 0 && floor(var.workspace_id) == var.workspace_id
    error_message = "workspace_id: given ${var.workspace_id}, expected a number such as 1234567890123456"
  }
}

variable "is_isolated" {
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

variable "grants" {
  description = "The privileges, by what they are for; the principal is an application id or a group."
  type = map(object({
    principal  = string
    privileges = set(string)
  }))

  validation {
    condition = alltrue([
      for one in values(var.grants) : length(setsubtract(one.privileges, ["USE_CATALOG", "CREATE_SCHEMA", "BROWSE"])) == 0
    ])
    error_message = "grants: expected USE_CATALOG, CREATE_SCHEMA or BROWSE: rights on schemas are declared by the bundle"
  }
}
