package build

import (
	"context"
	"fmt"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
)

// Tasks are the task definitions of a stack: one family per pool. Rules launch the
// newest revision of a family, so that a new revision is a promotion.
type Tasks struct {
	Stack      string
	Repository string // of the images that are promoted, as URI; pools with an image of their own have another

	api *ecs.Client
}

// NewTasks returns the task definitions of stack that launch images of repository.
func NewTasks(c aws.Config, stack, repository string) *Tasks {
	return &Tasks{Stack: stack, Repository: repository, api: ecs.NewFromConfig(c)}
}

// Current returns the digest of the image that is launched for each architecture.
func (t *Tasks) Current(ctx context.Context) (map[string]string, error) {
	current := map[string]string{}
	err := t.each(ctx, func(d *types.TaskDefinition, _ []types.Tag) error {
		if digest, ok := t.digest(d); ok {
			current[architecture(d)] = digest
		}
		return nil
	})
	return current, err
}

// Promote makes image, a digest, what is launched for architecture, and returns the
// families that were changed. Those that launch it already stay as they are.
func (t *Tasks) Promote(ctx context.Context, arch, digest string) (changed []string, err error) {
	err = t.each(ctx, func(d *types.TaskDefinition, tags []types.Tag) error {
		now, ours := t.digest(d)
		if !ours || now == digest || architecture(d) != arch {
			return nil
		}
		for i := range d.ContainerDefinitions {
			if t.ours(d.ContainerDefinitions[i]) {
				d.ContainerDefinitions[i].Image = aws.String(t.Repository + "@" + digest)
			}
		}
		if _, err := t.api.RegisterTaskDefinition(ctx, revision(d, tags)); err != nil {
			return fmt.Errorf("promoting %s in %s: %w", digest, aws.ToString(d.Family), err)
		}
		changed = append(changed, aws.ToString(d.Family))
		return nil
	})
	return changed, err
}

// Families returns the names of the families.
func (t *Tasks) Families(ctx context.Context) (all []string, err error) {
	in := &ecs.ListTaskDefinitionFamiliesInput{FamilyPrefix: aws.String(t.Stack + "-"), Status: types.TaskDefinitionFamilyStatusActive}
	for pages := ecs.NewListTaskDefinitionFamiliesPaginator(t.api, in); pages.HasMorePages(); {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, fmt.Errorf("task definitions of %s: %w", t.Stack, err)
		}
		all = append(all, page.Families...)
	}
	return all, nil
}

// each calls do with the newest revision of each family, and its tags.
func (t *Tasks) each(ctx context.Context, do func(*types.TaskDefinition, []types.Tag) error) error {
	families, err := t.Families(ctx)
	if err != nil {
		return err
	}
	for _, family := range families {
		out, err := t.api.DescribeTaskDefinition(ctx, &ecs.DescribeTaskDefinitionInput{
			TaskDefinition: &family, Include: []types.TaskDefinitionField{types.TaskDefinitionFieldTags},
		})
		if err != nil {
			return fmt.Errorf("task definition %s: %w", family, err)
		}
		if err := do(out.TaskDefinition, out.Tags); err != nil {
			return err
		}
	}
	return nil
}

// digest returns that of d's image, if it is one of ours.
func (t *Tasks) digest(d *types.TaskDefinition) (string, bool) {
	for _, c := range d.ContainerDefinitions {
		if t.ours(c) {
			_, digest, _ := strings.Cut(aws.ToString(c.Image), "@")
			return digest, true
		}
	}
	return "", false
}

func (t *Tasks) ours(c types.ContainerDefinition) bool {
	rest, found := strings.CutPrefix(aws.ToString(c.Image), t.Repository)
	return found && (rest == "" || rest[0] == '@' || rest[0] == ':')
}

func architecture(d *types.TaskDefinition) string {
	if d.RuntimePlatform != nil && d.RuntimePlatform.CpuArchitecture == types.CPUArchitectureArm64 {
		return "arm64"
	}
	return "amd64"
}

// revision asks for a revision like d, with all that can be asked for.
func revision(d *types.TaskDefinition, tags []types.Tag) *ecs.RegisterTaskDefinitionInput {
	in := &ecs.RegisterTaskDefinitionInput{
		Family: d.Family, ContainerDefinitions: d.ContainerDefinitions, Cpu: d.Cpu, Memory: d.Memory,
		TaskRoleArn: d.TaskRoleArn, ExecutionRoleArn: d.ExecutionRoleArn, NetworkMode: d.NetworkMode,
		RequiresCompatibilities: d.RequiresCompatibilities, RuntimePlatform: d.RuntimePlatform, Volumes: d.Volumes,
		PlacementConstraints: d.PlacementConstraints, EphemeralStorage: d.EphemeralStorage, IpcMode: d.IpcMode, PidMode: d.PidMode,
		ProxyConfiguration: d.ProxyConfiguration, EnableFaultInjection: d.EnableFaultInjection,
	}
	for _, tag := range tags {
		if !strings.HasPrefix(aws.ToString(tag.Key), "aws:") { // those are CloudFormation's to give
			in.Tags = append(in.Tags, tag)
		}
	}
	return in
}
