variable "root" {
  description = "The folder of the project: the one with databricks.yml."
  type        = string

  validation {
    condition     = fileexists("${var.root}/databricks.yml")
    error_message = "root: given ${var.root}, expected the folder that has databricks.yml, such as ../../../.."
  }
}

variable "target" {
  description = "The target of the bundle, as in targets/<target>.yml."
  type        = string

  validation {
    condition     = fileexists("${var.root}/targets/${var.target}.yml")
    error_message = "target: given ${var.target}, expected the name of a file in targets/, such as staging"
  }
}

variable "developers" {
  description = "The group that may create schemas in the catalog of dev; only dev has one."
  type        = string
  default     = null

  validation {
    condition     = (var.target == "dev") == (var.developers != null) && var.developers != ""
    error_message = "developers: given ${jsonencode(var.developers)} for ${var.target}, expected a group for dev, such as data-engineers, and null for all others"
  }
}

variable "repository" {
  description = "The address of the repository; null for project.url of delivery.yml."
  type        = string
  default     = null

  validation {
    condition     = var.repository == null || can(regex("^https://[^/]+/.+/.+$", var.repository))
    error_message = "repository: given ${jsonencode(var.repository)}, expected an address such as https://github.com/team/lakehouse"
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
