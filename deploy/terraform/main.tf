# The stack of Mayfly, for those who keep their AWS account in Terraform. All that Mayfly is on AWS is in its CloudFormation
# template; this hands it over, and keeps no second description of it.

locals {
  template = file(var.template)

  # CloudFormation takes a template of this size in a request, and a larger one from S3.
  inline = length(local.template) <= 51200
  key    = "template-${sha256(local.template)}.yaml"
}

data "aws_region" "here" {}

data "aws_partition" "here" {}

resource "aws_s3_object" "template" {
  count = local.inline ? 0 : 1

  bucket  = var.parameters["ArtifactBucket"]
  key     = local.key
  content = local.template
}

resource "aws_cloudformation_stack" "mayfly" {
  name = var.name

  template_body = local.inline ? local.template : null
  template_url  = local.inline ? null : "https://${var.parameters["ArtifactBucket"]}.s3.${data.aws_region.here.id}.${data.aws_partition.here.dns_suffix}/${local.key}"

  parameters   = merge(var.parameters, { RulesState = var.rules_enabled ? "ENABLED" : "DISABLED" })
  capabilities = ["CAPABILITY_IAM"]
  tags         = var.tags

  timeouts {
    create = "30m"
    update = "60m" # functions that leave a VPC take their time
    delete = "60m" # hosts end their jobs first
  }

  depends_on = [aws_s3_object.template]
}
