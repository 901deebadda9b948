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

// FillSecret gives the secret arn the first of values, unless it has it, and reports
// whether it had not. A second value is one that the first replaces: handlers take both for as
// long as Secrets Manager has it as the previous one.
func FillSecret(ctx context.Context, c aws.Config, arn string, values ...secret.Secret) (bool, error) {
	api := secretsmanager.NewFromConfig(c)
	now, err := api.GetSecretValue(ctx, &secretsmanager.GetSecretValueInput{SecretId: &arn})
	if err != nil && !refusal.Is(err, "ResourceNotFoundException") { // as it is for one that has no value yet
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
