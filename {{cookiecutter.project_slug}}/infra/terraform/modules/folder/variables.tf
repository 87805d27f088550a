variable "path" {
  description = "The folder, as the bundle calls it."
  type        = string

  validation {
    condition     = can(regex("^/Workspace/[^/$]+(/[^/$]+)+$", var.path)) && !startswith(var.path, "/Workspace/Shared")
    error_message = "path: given ${var.path}, expected one such as /Workspace/Deployments/lakehouse/staging; everybody writes in Shared"
  }
}

variable "levels" {
  description = "Who may do what, by role: the keys are known before the application ids are."
  type = map(object({
    application_id = string
    level          = string
  }))

  validation {
    condition     = length(setsubtract([for one in values(var.levels) : one.level], ["CAN_READ", "CAN_RUN", "CAN_EDIT", "CAN_MANAGE"])) == 0
    error_message = "levels: given ${jsonencode([for one in values(var.levels) : one.level])}, expected CAN_READ, CAN_RUN, CAN_EDIT or CAN_MANAGE"
  }
}
