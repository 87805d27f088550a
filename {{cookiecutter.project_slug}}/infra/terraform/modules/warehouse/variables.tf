variable "name" {
  description = "The name by which the bundle looks the warehouse up."
  type        = string

  validation {
    condition     = var.name != null && var.name != "Serverless Starter Warehouse"
    error_message = "warehouse: given ${jsonencode(var.name)}, which every workspace has already. Name one of your own in databricks.yml, below warehouse_id: lookup: warehouse, such as lakehouse"
  }
}

variable "size" {
  description = "The size of its clusters."
  type        = string
  default     = "2X-Small"

  validation {
    condition     = can(regex("^([2-5]X-Large|X-Large|Large|Medium|Small|X-Small|2X-Small)$", var.size))
    error_message = "size: given ${var.size}, expected one such as 2X-Small"
  }
}

variable "auto_stop_minutes" {
  description = "It stops when nobody has used it for so long."
  type        = number
  default     = 10

  validation {
    condition     = var.auto_stop_minutes >= 1 && floor(var.auto_stop_minutes) == var.auto_stop_minutes
    error_message = "auto_stop_minutes: given ${var.auto_stop_minutes}, expected a whole number such as 10; 0 never stops"
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

variable "application_ids" {
  description = "Who may use it: application ids by role."
  type        = map(string)

  validation {
    condition     = length(var.application_ids) > 0
    error_message = "application_ids: given none, expected at least one, such as {deployer = \"…\"}"
  }
}
