package deploy

import (
	"context"
	"fmt"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/aws/aws-sdk-go-v2/service/codecommit"
	"github.com/aws/aws-sdk-go-v2/service/ecr"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
)

// EmptyImages removes all images of the stack's repository, which goes without them only.
// Its template says so to CloudFormation, too; one that was changed by hand may not.
func EmptyImages(ctx context.Context, a *Account, stack string) error {
	api, repository := ecr.NewFromConfig(a.Config), stack+"-runner"
	for pages := ecr.NewListImagesPaginator(api, &ecr.ListImagesInput{RepositoryName: &repository, MaxResults: aws.Int32(100)}); pages.HasMorePages(); {
		page, err := pages.NextPage(ctx)
		if notThere(err) {
			return nil
		}
		if err == nil && len(page.ImageIds) > 0 {
			_, err = api.BatchDeleteImage(ctx, &ecr.BatchDeleteImageInput{RepositoryName: &repository, ImageIds: page.ImageIds})
		}
		if err != nil {
			return fmt.Errorf("images in %s: %w", repository, err)
		}
	}
	return nil
}

// RemoveLeftovers removes what is found after the stack is gone: log groups that a service made
// after their deletion, and what an earlier destroy kept or an interrupted one left. Things of
// kinds that only CloudFormation makes and removes are left to it.
func RemoveLeftovers(ctx context.Context, a *Account, found []Thing) error {
	for _, kind := range []string{"archive", "event bus", "log group", "secret", "source repository"} { // an archive goes before its bus
		for _, t := range found {
			if t.Kind != kind {
				continue
			}
			if err := a.remove(ctx, t); err != nil && !notThere(err) {
				return fmt.Errorf("removing %s: %w", t, err)
			}
		}
	}
	return nil
}

func (a *Account) remove(ctx context.Context, t Thing) (err error) {
	events := eventbridge.NewFromConfig(a.Config)
	switch t.Kind {
	case "archive":
		_, err = events.DeleteArchive(ctx, &eventbridge.DeleteArchiveInput{ArchiveName: &t.Name})
	case "event bus":
		_, err = events.DeleteEventBus(ctx, &eventbridge.DeleteEventBusInput{Name: &t.Name})
	case "log group":
		_, err = cloudwatchlogs.NewFromConfig(a.Config).DeleteLogGroup(ctx, &cloudwatchlogs.DeleteLogGroupInput{LogGroupName: &t.Name})
	case "source repository":
		_, err = codecommit.NewFromConfig(a.Config).DeleteRepository(ctx, &codecommit.DeleteRepositoryInput{RepositoryName: &t.Name})
	case "secret":
		_, err = secretsmanager.NewFromConfig(a.Config).DeleteSecret(ctx, &secretsmanager.DeleteSecretInput{SecretId: &t.Name, ForceDeleteWithoutRecovery: aws.Bool(true)})
	}
	return err
}

// Families returns the names of the task definitions among found.
func Families(found []Thing) (names []string) {
	for _, t := range found {
		if t.Kind == "task definition" {
			names = append(names, t.Name)
		}
	}
	return names
}

// Describe lists things for a person.
func Describe(things []Thing) string {
	lines := make([]string, len(things))
	for i, t := range things {
		lines[i] = t.String()
	}
	return strings.Join(lines, ", ")
}
