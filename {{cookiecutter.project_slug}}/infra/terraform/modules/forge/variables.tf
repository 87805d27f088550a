variable "root" {
  description = "The folder of the project: the one with databricks.yml."
  type        = string

  validation {
    condition     = fileexists("${var.root}/databricks.yml")
    error_message = "root: given ${var.root}, expected the folder that has databricks.yml, such as ../../../.."
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

variable "previews_client_id" {
  description = "The application id of the identity of previews: an output of the stack preview. No file has it."
  type        = string
  default     = ""

  validation {
    condition     = var.previews_client_id == "" || can(regex("^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$", var.previews_client_id))
    error_message = "previews_client_id: given ${var.previews_client_id}, expected an id such as 22222222-3333-4444-8555-666666666666"
  }
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
