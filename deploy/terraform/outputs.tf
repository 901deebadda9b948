output "webhook_url" {
  description = "Where GitHub sends deliveries."
  value       = aws_cloudformation_stack.mayfly.outputs["WebhookUrl"]
}

output "webhook_secret_arn" {
  description = "The secret to fill with what the webhook is signed with."
  value       = aws_cloudformation_stack.mayfly.outputs["WebhookSecretArn"]
}

output "app_secret_arn" {
  description = "The secret to fill with the GitHub App's key, or with a token."
  value       = aws_cloudformation_stack.mayfly.outputs["AppSecretArn"]
}

output "outputs" {
  description = "All outputs of the stack."
  value       = aws_cloudformation_stack.mayfly.outputs
}
