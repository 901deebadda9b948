package deploy

import (
	"context"
	"fmt"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"

	"github.com/mayfly-ci/mayfly/internal/aws/refusal"
	"github.com/mayfly-ci/mayfly/internal/secret"
)

// FillSecret sets the secret arn to the first of values, unless it has that value, and reports whether it
// changed. A second value is the one that the first replaces: handlers accept both as long as Secrets
// Manager keeps it as the previous version.
func FillSecret(ctx context.Context, c aws.Config, arn string, values ...secret.Secret) (bool, error) {
	api := secretsmanager.NewFromConfig(c)
	now, err := api.GetSecretValue(ctx, &secretsmanager.GetSecretValueInput{SecretId: &arn})
	if err != nil && !refusal.Is(err, "ResourceNotFoundException") { // the answer for a secret without a value
		return false, fmt.Errorf("reading secret %s: %w", arn, err)
	}
	has := ""
	if now != nil {
		has = aws.ToString(now.SecretString)
	}
	if has == values[0].Reveal() {
		return false, nil
	}
	for _, v := range slices.Backward(values) { // the newest comes last, and so becomes the current one
		if v.Reveal() == has {
			continue
		}
		if _, err := api.PutSecretValue(ctx, &secretsmanager.PutSecretValueInput{SecretId: &arn, SecretString: aws.String(v.Reveal())}); err != nil {
			return false, fmt.Errorf("filling secret %s: %w", arn, err)
		}
	}
	return true, nil
}
