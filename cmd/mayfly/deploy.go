package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/mayfly-ci/mayfly/internal/aws"
	"github.com/mayfly-ci/mayfly/internal/aws/build"
	"github.com/mayfly-ci/mayfly/internal/aws/deploy"
	"github.com/mayfly-ci/mayfly/internal/aws/program"
	"github.com/mayfly-ci/mayfly/internal/aws/stack"
	"github.com/mayfly-ci/mayfly/internal/cli"
	"github.com/mayfly-ci/mayfly/internal/github"
	imagesource "github.com/mayfly-ci/mayfly/internal/image/source"
	"github.com/mayfly-ci/mayfly/internal/secret"
)

// deployCmd is `mayfly deploy`.
type deployCmd struct {
	PrintTemplate bool          `help:"Print the stack's template, and do nothing else."`
	Plan          bool          `help:"Show what would change, and change nothing."`
	JSON          bool          `help:"With --plan, print JSON."`
	NoStack       bool          `help:"Do everything but make or change the stack, which something else keeps, such as Terraform. Without a stack it ends after the artifacts."`
	Programs      string        `help:"Folder with the programs that go to AWS, built before: ARCH/NAME." type:"existingdir" placeholder:"DIR"`
	Parameters    string        `help:"Write the parameters for the template to this file, as JSON." type:"path" placeholder:"FILE"`
	Look          time.Duration `help:"Time between looks at what AWS is doing." default:"3s" hidden:""`
	imageOnAWS
}

// A deployment is a deploy under way. Each step looks at what is there, so that all of
// them can be taken again.
type deployment struct {
	*cloud
	imageOnAWS
	NoStack    bool
	Programs   string
	screen     *cli.Screen
	settings   stack.Settings
	template   stack.Template
	forge      *github.Client
	files      imagesource.Source
	artifacts  []deploy.Artifact
	parameters map[string]string
	state      deploy.State // as last seen
}

// Run brings the stack up, or to what the configuration says.
func (c *deployCmd) Run(ctx context.Context, all *commands, screen *cli.Screen) error {
	if c.PrintTemplate {
		return printTemplate(all, screen)
	}
	d, err := c.open(ctx, all, screen)
	if err != nil {
		return err
	}
	if err := d.check(ctx); err != nil {
		return err
	}
	if err := d.prepare(ctx); err != nil {
		return err
	}
	if c.Parameters != "" {
		if err := d.writeParameters(c.Parameters); err != nil {
			return err
		}
	}
	if c.Plan {
		return d.plan(ctx, c.JSON)
	}
	begin := time.Now()
	if err := d.upload(ctx); err != nil {
		return err
	}
	if c.NoStack && !d.state.Exists() {
		screen.Notef("the artifacts are in %s; make stack %s, and run this again", d.bucket().Name, d.stack.Name)
		return nil
	}
	if c.NoStack {
		err = d.finish(ctx)
	} else {
		err = d.bringUp(ctx)
	}
	if err == nil {
		fmt.Fprintf(screen.Out, "stack %s in %s is up, after %s\n", d.stack.Name, d.account.Region(), cli.Duration(time.Since(begin)))
	}
	return err
}

func printTemplate(all *commands, screen *cli.Screen) error {
	s, err := readSetup(all.Config)
	if err != nil {
		return err
	}
	_, template, err := render(s)
	if err != nil {
		return err
	}
	_, err = screen.Out.Write(template.Body)
	return err
}

// render makes the stack's template.
func render(s setup) (stack.Settings, stack.Template, error) {
	settings, err := stack.Of(s.Config)
	if err != nil {
		return settings, stack.Template{}, cli.Usage(err, "docs/config.md tells what aws: can hold")
	}
	template, err := stack.Render(settings)
	if err != nil {
		return settings, template, cli.Usage(err, "docs/aws.md tells what fits into a stack")
	}
	return settings, template, nil
}

// open reads the configuration and what it refers to.
func (c *deployCmd) open(ctx context.Context, all *commands, screen *cli.Screen) (*deployment, error) {
	cloud, err := openCloud(ctx, all)
	if err != nil {
		return nil, err
	}
	if err := cloud.resolve(); err != nil {
		return nil, err
	}
	if err := c.look(); err != nil {
		return nil, err
	}
	d := &deployment{cloud: cloud, imageOnAWS: c.imageOnAWS, NoStack: c.NoStack, Programs: c.Programs, screen: screen}
	if d.settings, d.template, err = render(cloud.setup); err != nil {
		return nil, err
	}
	if d.files, err = c.source(cloud.setup); err != nil {
		return nil, err
	}
	d.forge, err = github.New(cloud.forge())
	d.stack.Tell, d.stack.Look = d.tell, c.Look
	return d, err
}

// tell says what AWS does with a resource: what has ended, or takes long, on a line that stays.
func (d *deployment) tell(p deploy.Progress) {
	switch {
	case strings.HasSuffix(p.Status, "_FAILED"):
		d.screen.Notef("  %s %s (%s): %s", d.screen.Paint(cli.Red, p.Status), p.Resource, p.Type, cli.Printable(p.Reason))
	case strings.HasSuffix(p.Status, "_COMPLETE"):
		d.screen.Notef("  %s %s (%s)", p.Status, p.Resource, p.Type)
	case p.Waits():
		d.screen.Notef("  %s %s (%s): %s", p.Status, p.Resource, p.Type, cli.Printable(p.Reason))
	}
}

// check finds what would stop it halfway, at AWS and at GitHub.
func (d *deployment) check(ctx context.Context) (err error) {
	d.screen.Notef("checking AWS and GitHub")
	network := deploy.Network{VPC: d.AWS.VPC, Subnets: d.AWS.Subnets, PublicIPs: d.AWS.PublicIPs}
	if d.state, err = deploy.Preflight(ctx, d.account, d.stack, network); err != nil {
		return err
	}
	return d.checkHook(ctx)
}

// prepare makes what goes into the bucket, and the parameters that name it.
func (d *deployment) prepare(ctx context.Context) error {
	d.screen.Notef("preparing the programs")
	d.parameters = d.configured()
	d.parameters[deploy.ArtifactBucket] = d.bucket().Name
	var settings bytes.Buffer
	if err := d.handlerSettings().Write(&settings); err != nil {
		return err
	}
	for parameter, name := range map[string]string{deploy.WebhookKey: program.Webhook, deploy.HandlersKey: program.Handlers} {
		body, err := d.program(ctx, name, "arm64")
		if err != nil {
			return err
		}
		zip, err := deploy.Zip(map[string][]byte{"bootstrap": body, aws.SettingsFile: settings.Bytes()})
		if err != nil {
			return err
		}
		d.add(parameter, deploy.NewArtifact(name, zip, ".zip"))
	}
	for _, arch := range d.settings.Architectures() {
		for parameter, name := range map[string]string{deploy.AgentKey: program.Agent, deploy.ToolKey: program.Tool} {
			body, err := d.program(ctx, name, arch)
			if err != nil {
				return err
			}
			d.add(parameter+stack.Suffix(arch), deploy.NewArtifact(name+"-linux-"+arch, body, ""))
		}
	}
	if d.AWS.Source == "s3" {
		zip, err := sourceZip(d.files)
		if err != nil {
			return err
		}
		d.add(deploy.SourceKey, deploy.NewArtifact("source", zip, ".zip"))
	}
	return d.keep(ctx)
}

// configured are the parameters that the configuration says.
func (c *cloud) configured() map[string]string {
	return map[string]string{
		"SourceKind": c.AWS.Source, "VpcId": c.AWS.VPC, "SubnetIds": strings.Join(c.AWS.Subnets, ","),
		"RetentionDays": strconv.Itoa(c.AWS.RetentionDays), "AlarmEmail": c.AWS.Email,
	}
}

// program returns one of ours for Linux.
func (d *deployment) program(ctx context.Context, name, arch string) ([]byte, error) {
	if d.Programs != "" {
		return program.Read(d.Programs, name, arch)
	}
	return program.Linux(ctx, name, arch)
}

func (d *deployment) add(parameter string, a deploy.Artifact) {
	d.artifacts = append(d.artifacts, a)
	d.parameters[parameter] = a.Key
}

// keep leaves as they are the images that are launched, which a promotion may have
// changed since the last deploy, and whether rules are on.
func (d *deployment) keep(ctx context.Context) error {
	d.parameters[deploy.RulesState] = deploy.RulesOff
	if !d.state.Exists() {
		return nil
	}
	if on := d.state.Parameters[deploy.RulesState]; on != "" {
		d.parameters[deploy.RulesState] = on
	}
	launched, err := d.tasks().Current(ctx)
	if err != nil {
		return err
	}
	for _, arch := range d.settings.Architectures() {
		name := deploy.ImageDigest + stack.Suffix(arch)
		if d.parameters[name] = d.state.Parameters[name]; build.IsDigest(launched[arch]) {
			d.parameters[name] = launched[arch]
		}
	}
	return nil
}

// handlerSettings are what the functions need of the configuration.
func (d *deployment) handlerSettings() aws.Settings {
	return aws.Settings{
		Pools: d.PoolSet(), Events: d.Webhook.Events, MaxBody: int64(d.Webhook.MaxBody),
		GitHub:    aws.GitHub{URL: d.GitHub.URL, CA: string(d.ca), AppID: d.GitHub.App.ID},
		RunnersAt: d.GitHub.RunnersAt, HookAt: d.Webhook.At,
		Image: aws.Image{Watch: d.Image.Watch, Keep: d.Image.Keep, Feed: d.Image.Feed},
	}
}

// writeParameters writes what the template is to be given, for who makes the stack.
func (d *deployment) writeParameters(file string) error {
	text, err := json.MarshalIndent(d.parameters, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(file, append(text, '\n'), 0o644)
}

// upload makes the bucket and brings what is missing there.
func (d *deployment) upload(ctx context.Context) error {
	d.screen.Notef("bucket %s", d.bucket().Name)
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
			d.screen.Notef("  uploaded %s", a.Key)
		}
	}
	return nil
}

func (d *deployment) templateArtifact() deploy.Artifact {
	return deploy.NewArtifact("template", d.template.Body, ".yaml")
}

// bringUp makes or changes the stack, and does the rest.
func (d *deployment) bringUp(ctx context.Context) error {
	if err := d.account.LinkECS(ctx); err != nil {
		return err
	}
	if err := d.apply(ctx); err != nil {
		return err
	}
	return d.finish(ctx)
}

// apply makes the stack what the parameters say.
func (d *deployment) apply(ctx context.Context) error {
	d.screen.Notef("stack %s in %s", d.stack.Name, d.account.Region())
	state, changes, err := d.stack.Apply(ctx, d.wanted())
	if err != nil {
		return err
	}
	if len(changes) == 0 {
		d.screen.Notef("  nothing to change in its resources")
	}
	d.state = state
	return nil
}

func (d *deployment) wanted() deploy.Wanted {
	return deploy.Wanted{
		Template: d.template.Body, URL: d.bucket().URL(d.templateArtifact().Key), Parameters: d.parameters,
		Tags: map[string]string{deploy.StackTag: d.stack.Name},
	}
}

// finish does what a stack that is there needs: secrets, image, rules, webhook.
func (d *deployment) finish(ctx context.Context) error {
	if err := d.fillSecrets(ctx); err != nil {
		return err
	}
	changed, err := d.image(ctx)
	if err != nil {
		return err
	}
	if changed || d.parameters[deploy.RulesState] != deploy.RulesOn {
		if err := d.launch(ctx); err != nil {
			return err
		}
	}
	return d.installHook(ctx)
}

// launch has runners started, from the images that are there now.
func (d *deployment) launch(ctx context.Context) error {
	if !d.NoStack {
		d.parameters[deploy.RulesState] = deploy.RulesOn
		return d.apply(ctx)
	}
	for _, arch := range d.settings.Architectures() {
		if _, err := d.tasks().Promote(ctx, arch, d.parameters[deploy.ImageDigest+stack.Suffix(arch)]); err != nil {
			return err
		}
	}
	if d.parameters[deploy.RulesState] != deploy.RulesOn {
		d.screen.Notef("there is an image now: set the stack's parameter %s to %s", deploy.RulesState, deploy.RulesOn)
	}
	return nil
}

// fillSecrets gives the stack's secrets their values.
func (d *deployment) fillSecrets(ctx context.Context) error {
	app := d.secrets.AppKey
	if d.GitHub.App.ID == 0 {
		app = d.secrets.Token
	}
	for output, values := range map[string][]secret.Secret{"WebhookSecretArn": d.secrets.Webhook, "AppSecretArn": {app}} {
		filled, err := deploy.FillSecret(ctx, d.account.Config, d.state.Outputs[output], values...)
		if err != nil {
			return err
		}
		if filled {
			d.screen.Notef("filled %s", strings.TrimSuffix(output, "Arn"))
		}
	}
	return nil
}

// plan shows what would change. Of a stack that is not there all would be new: AWS is not
// asked, since it would make one to answer.
func (d *deployment) plan(ctx context.Context, asJSON bool) error {
	var changes []deploy.Change
	if d.state.Exists() {
		set, err := d.propose(ctx)
		if err != nil {
			return err
		}
		changes = set
	} else {
		types, err := stack.Resources(d.template.Body)
		if err != nil {
			return err
		}
		for _, id := range slices.Sorted(maps.Keys(types)) {
			changes = append(changes, deploy.Change{Action: "Add", Resource: id, Type: types[id]})
		}
	}
	if asJSON {
		return d.screen.JSON(append([]deploy.Change{}, changes...))
	}
	var rows [][]cli.Cell
	for _, c := range changes {
		note := ""
		if c.Replaced {
			note = "made anew"
		}
		rows = append(rows, cli.Text(c.Action, c.Resource, c.Type, note))
	}
	d.screen.Table([]string{"ACTION", "RESOURCE", "TYPE", "NOTE"}, rows)
	return nil
}

// propose has AWS find the changes, and leaves nothing of that.
func (d *deployment) propose(ctx context.Context) ([]deploy.Change, error) {
	if d.state.Busy() {
		return nil, cli.Hint(fmt.Errorf("stack %s is in state %s", d.stack.Name, d.state.Status), "wait for its end")
	}
	if !d.template.Inline {
		if _, err := d.bucket().Put(ctx, d.templateArtifact()); err != nil { // AWS reads it from there
			return nil, err
		}
	}
	set, err := d.stack.Propose(ctx, d.state, d.wanted())
	if err != nil {
		return nil, err
	}
	return set.Changes, set.Discard(ctx)
}
