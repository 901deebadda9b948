variable "name" {
  description = "The name of the stack, as aws.stack in mayfly.yaml has it."
  type        = string
  default     = "mayfly"

  validation {
    condition     = can(regex("^[a-z][a-z0-9]*(-[a-z0-9]+)*$", var.name)) && length(var.name) <= 20 && !can(regex("^(aws|ecs|fargate)", var.name))
    error_message = "Want a-z, 0-9 and single dashes, a letter first, 20 characters at most, and not aws, ecs or fargate at the beginning."
  }
}

variable "template" {
  description = "The file with the template that mayfly deploy --print-template wrote."
  type        = string
}

variable "parameters" {
  description = "The template's parameters, such as ArtifactBucket, WebhookKey and HandlersKey. RulesState has a variable of its own."
  type        = map(string)

  validation {
    condition     = length(setsubtract(["ArtifactBucket", "WebhookKey", "HandlersKey"], keys(var.parameters))) == 0
    error_message = "Want ArtifactBucket, WebhookKey and HandlersKey at least."
  }
}

variable "rules_enabled" {
  description = "Whether jobs start runners. Off until the first image is built, and before the stack is destroyed."
  type        = bool
  default     = false
}

variable "tags" {
  description = "Tags of the stack, which CloudFormation gives to what is in it."
  type        = map(string)
  default     = {}
}
