package rollout

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/mayfly-ci/mayfly/internal/aws/build"
	"github.com/mayfly-ci/mayfly/internal/aws/contract"
	"github.com/mayfly-ci/mayfly/internal/aws/deploy"
	"github.com/mayfly-ci/mayfly/internal/aws/program"
	"github.com/mayfly-ci/mayfly/internal/aws/stack"
	"github.com/mayfly-ci/mayfly/internal/cli"
	"github.com/mayfly-ci/mayfly/internal/github"
	"github.com/mayfly-ci/mayfly/internal/secret"
)

// A Deployment is a deploy under way. Its steps in order: [Deployment.Check],
// [Deployment.Prepare], [Deployment.Upload], [Deployment.BringUp]. Each can be taken again.
type Deployment struct {
	*Site
	Access
	Image       ImageFrom
	NoStack     bool                  // something else makes and changes the stack, such as Terraform
	Programs    string                // folder with the programs for AWS, ARCH/NAME; "" for those embedded or built from the tree
	Unpermitted bool                  // go on although permissions seem to be missing
	Losses      []string              // logical ids of resources whose data an update may lose
	ByHand      func(m github.Manual) // called with what a person must enter where GitHub has no call for the webhook

	Parameters map[string]string // of the template; made by Prepare

	settings  stack.Settings
	template  stack.Template
	artifacts []deploy.Artifact
	state     deploy.State // as last seen
}

// NewDeployment returns a deployment of a rendered template.
func NewDeployment(s *Site, a Access, settings stack.Settings, template stack.Template) *Deployment {
	return &Deployment{Site: s, Access: a, settings: settings, template: template}
}

// Exists reports whether the stack was there when the deployment last looked.
func (d *Deployment) Exists() bool { return d.state.Exists() }

// BucketName returns the name of the bucket for the stack's artifacts.
func (d *Deployment) BucketName() string { return d.bucket().Name }

// Check finds what would stop the deployment halfway, at AWS and at GitHub.
func (d *Deployment) Check(ctx context.Context) (err error) {
	d.note("checking AWS and GitHub")
	network := deploy.Network{VPC: d.AWS.VPC, Subnets: d.AWS.Subnets, PublicIPs: d.AWS.PublicIPs}
	d.state, err = deploy.Preflight(ctx, d.Account, d.Stack, network)
	var missing *deploy.Missing
	switch {
	case errors.As(err, &missing) && d.Unpermitted:
		d.note("going on although %s", missing)
	case err != nil:
		return err
	}
	for _, check := range []func(context.Context) error{d.checkRegion, d.checkSource, d.checkHook} {
		if err := check(ctx); err != nil {
			return err
		}
	}
	return nil
}

// Prepare makes the artifacts for the bucket, and the parameters that name them.
func (d *Deployment) Prepare(ctx context.Context) error {
	d.note("preparing the programs")
	d.Parameters = d.configured()
	d.Parameters[deploy.ArtifactBucket] = d.bucket().Name
	logs, err := d.Account.LogPolicy(ctx, d.Stack.Name)
	if err != nil {
		return err
	}
	d.Parameters[deploy.LogPolicy] = logs
	if err := d.addFunctions(ctx); err != nil {
		return err
	}
	if err := d.addPrograms(ctx); err != nil {
		return err
	}
	if d.AWS.Source == "s3" {
		zip, err := sourceZip(d.Image.Files)
		if err != nil {
			return err
		}
		d.add(deploy.SourceKey, deploy.NewArtifact("source", zip, ".zip"))
	}
	return d.keep(ctx)
}

// addFunctions adds the zips of the functions: program and settings.
func (d *Deployment) addFunctions(ctx context.Context) error {
	var settings bytes.Buffer
	if err := d.handlerSettings().Write(&settings); err != nil {
		return err
	}
	for parameter, name := range map[string]string{deploy.WebhookKey: program.Webhook, deploy.HandlersKey: program.Handlers} {
		body, err := d.program(ctx, name, "arm64")
		if err != nil {
			return err
		}
		zip, err := deploy.Zip(map[string][]byte{"bootstrap": body, contract.SettingsFile: settings.Bytes()})
		if err != nil {
			return err
		}
		d.add(parameter, deploy.NewArtifact(name, zip, ".zip"))
	}
	return nil
}

// addPrograms adds what builds put into images, for each architecture of the hosts.
func (d *Deployment) addPrograms(ctx context.Context) error {
	for _, arch := range d.settings.Architectures() {
		for parameter, name := range map[string]string{deploy.AgentKey: program.Agent, deploy.ToolKey: program.Tool} {
			body, err := d.program(ctx, name, arch)
			if err != nil {
				return err
			}
			d.add(parameter+stack.Suffix(arch), deploy.NewArtifact(name+"-linux-"+arch, body, ""))
		}
	}
	return nil
}

// program returns one of Mayfly's programs for Linux.
func (d *Deployment) program(ctx context.Context, name, arch string) ([]byte, error) {
	if d.Programs != "" {
		return program.Read(d.Programs, name, arch)
	}
	return program.Linux(ctx, name, arch)
}

func (d *Deployment) add(parameter string, a deploy.Artifact) {
	d.artifacts = append(d.artifacts, a)
	d.Parameters[parameter] = a.Key
}

// keep leaves the images that are launched as they are, because a promotion may have changed
// them since the last deploy, and the rules on or off.
func (d *Deployment) keep(ctx context.Context) error {
	d.Parameters[deploy.RulesState] = deploy.RulesOff
	if !d.state.Exists() {
		return nil
	}
	if on := d.state.Parameters[deploy.RulesState]; on != "" {
		d.Parameters[deploy.RulesState] = on
	}
	launched, err := d.Tasks().Current(ctx)
	if err != nil {
		return err
	}
	for _, arch := range d.settings.Architectures() {
		name := deploy.ImageDigest + stack.Suffix(arch)
		if d.Parameters[name] = d.state.Parameters[name]; build.IsDigest(launched[arch]) {
			d.Parameters[name] = launched[arch]
		}
	}
	return nil
}

// handlerSettings are what the functions need of the configuration.
func (d *Deployment) handlerSettings() contract.Settings {
	return contract.Settings{
		Pools: d.PoolSet(), Hosts: d.StackHosts(), Events: d.Webhook.Events, MaxBody: int64(d.Webhook.MaxBody),
		GitHub:    contract.GitHub{URL: d.GitHub.URL, CA: string(d.CA), AppID: d.GitHub.App.ID},
		RunnersAt: d.GitHub.RunnersAt, HookAt: d.Webhook.At,
		Image: contract.Image{Watch: d.Config.Image.Watch, Keep: d.Config.Image.Keep, Feed: d.Config.Image.Feed},
	}
}

// Upload makes the bucket and brings what is missing there.
func (d *Deployment) Upload(ctx context.Context) error {
	d.note("bucket %s", d.bucket().Name)
	if err := d.bucket().Make(ctx); err != nil {
		return err
	}
	if !d.template.Inline {
		d.artifacts = append(d.artifacts, d.templateArtifact())
	}
	for _, a := range d.artifacts {
		uploaded, err := d.bucket().Put(ctx, a)
		if err != nil {
			return err
		}
		if uploaded {
			d.note("  uploaded %s", a.Key)
		}
	}
	return nil
}

func (d *Deployment) templateArtifact() deploy.Artifact {
	return deploy.NewArtifact("template", d.template.Body, ".yaml")
}

// BringUp makes or changes the stack, unless something else does, and then what a stack needs:
// its secrets, an image, rules that are on, and the webhook.
func (d *Deployment) BringUp(ctx context.Context) error {
	if !d.NoStack {
		if err := d.Account.LinkECS(ctx); err != nil {
			return err
		}
		if err := d.apply(ctx); err != nil {
			return err
		}
	}
	if err := d.fillSecrets(ctx); err != nil {
		return err
	}
	changed, err := d.image(ctx)
	if err != nil {
		return err
	}
	if changed || d.Parameters[deploy.RulesState] != deploy.RulesOn {
		if err := d.launch(ctx); err != nil {
			return err
		}
	}
	return d.installHook(ctx)
}

func (d *Deployment) wanted() deploy.Wanted {
	return deploy.Wanted{
		Template: d.template.Body, URL: d.bucket().URL(d.templateArtifact().Key), Parameters: d.Parameters,
		Tags: d.tags(),
	}
}

// launch lets runners start, from the images that are there now.
func (d *Deployment) launch(ctx context.Context) error {
	if !d.NoStack {
		d.Parameters[deploy.RulesState] = deploy.RulesOn
		return d.apply(ctx)
	}
	for _, arch := range d.settings.Architectures() {
		if _, err := d.Tasks().Promote(ctx, arch, d.Parameters[deploy.ImageDigest+stack.Suffix(arch)]); err != nil {
			return err
		}
	}
	if d.Parameters[deploy.RulesState] != deploy.RulesOn {
		d.note("the image is built: set the stack's parameter %s to %s", deploy.RulesState, deploy.RulesOn)
	}
	return nil
}

// fillSecrets gives the stack's secrets their values.
func (d *Deployment) fillSecrets(ctx context.Context) error {
	app := d.Secrets.AppKey
	if d.GitHub.App.ID == 0 {
		app = d.Secrets.Token
	}
	for output, values := range map[string][]secret.Secret{"WebhookSecretArn": d.Secrets.Webhook, "AppSecretArn": {app}} {
		filled, err := deploy.FillSecret(ctx, d.Account.Config, d.state.Outputs[output], values...)
		if err != nil {
			return err
		}
		if filled {
			d.note("filled %s", strings.TrimSuffix(output, "Arn"))
		}
	}
	return nil
}

// Plan returns what BringUp would change in the stack. A stack that does not exist is all new:
// AWS is not asked, because it would create one to answer.
func (d *Deployment) Plan(ctx context.Context) (changes []deploy.Change, err error) {
	if d.state.Exists() {
		return d.propose(ctx)
	}
	types, err := stack.Resources(d.template.Body)
	if err != nil {
		return nil, err
	}
	for _, id := range slices.Sorted(maps.Keys(types)) {
		changes = append(changes, deploy.Change{Action: "Add", Resource: id, Type: types[id]})
	}
	return changes, nil
}

// propose has AWS find the changes, and discards the change set.
func (d *Deployment) propose(ctx context.Context) ([]deploy.Change, error) {
	if d.state.Busy() {
		return nil, cli.Hint(fmt.Errorf("stack %s is in state %s", d.Stack.Name, d.state.Status), "wait until AWS has finished, and run it again")
	}
	if !d.template.Inline {
		if _, err := d.bucket().Put(ctx, d.templateArtifact()); err != nil { // CloudFormation reads it from the bucket
			return nil, err
		}
	}
	set, err := d.Stack.Propose(ctx, d.state, d.wanted())
	if err != nil {
		return nil, err
	}
	return set.Changes, set.Discard(ctx)
}
