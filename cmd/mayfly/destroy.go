package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/mayfly-ci/mayfly/internal/aws/deploy"
	"github.com/mayfly-ci/mayfly/internal/aws/stack"
	"github.com/mayfly-ci/mayfly/internal/aws/view"
	"github.com/mayfly-ci/mayfly/internal/cli"
	"github.com/mayfly-ci/mayfly/internal/github"
	"github.com/mayfly-ci/mayfly/internal/ledger"
	"github.com/mayfly-ci/mayfly/internal/ledger/dynamo"
	"github.com/mayfly-ci/mayfly/internal/pipeline"
)

// destroyCmd is `mayfly destroy`.
type destroyCmd struct {
	Yes      bool          `help:"Do not ask for the stack's name first."`
	KeepData bool          `help:"Keep the event bus with its archive, and the logs."`
	JSON     bool          `help:"Print what is left as JSON."`
	Look     time.Duration `help:"Time between looks at what AWS is doing." default:"3s" hidden:""`
}

// A destruction is a destroy under way.
type destruction struct {
	*cloud
	destroyCmd
	screen *cli.Screen
	forge  *github.Client
	state  deploy.State

	// What the ledger knew, which goes with the stack.
	instance string                // the names of all its runners begin with it
	places   map[github.Scope]bool // where they are registered
}

// Run takes the stack down, and proves it by listing what is left: exit code 1 when
// there is something.
func (c *destroyCmd) Run(ctx context.Context, all *commands, screen *cli.Screen) error {
	d, err := c.open(ctx, all, screen)
	if err != nil {
		return err
	}
	if err := d.ask(os.Stdin); err != nil {
		return err
	}
	for _, step := range []func(context.Context) error{
		d.stop, d.leaveGitHub, d.keepData, d.deleteStack, d.removeRest,
	} {
		if err := step(ctx); err != nil {
			return err
		}
	}
	return d.prove(ctx)
}

func (c *destroyCmd) open(ctx context.Context, all *commands, screen *cli.Screen) (*destruction, error) {
	cloud, err := openCloud(ctx, all)
	if err != nil {
		return nil, err
	}
	if err := cloud.resolve(); err != nil {
		return nil, err
	}
	d := &destruction{cloud: cloud, destroyCmd: *c, screen: screen}
	if d.forge, err = github.New(cloud.forge()); err != nil {
		return nil, err
	}
	if err := d.account.Identify(ctx); err != nil {
		return nil, err
	}
	d.stack.Look = c.Look
	d.stack.Tell = func(p deploy.Progress) {
		if p.Waits() || !strings.HasSuffix(p.Status, "_IN_PROGRESS") {
			screen.Notef("  %s %s (%s) %s", p.Status, p.Resource, p.Type, cli.Printable(p.Reason))
		}
	}
	d.state, err = d.stack.State(ctx)
	return d, err
}

// ask has the person who runs it say the stack's name.
func (d *destruction) ask(in io.Reader) error {
	if d.Yes {
		return nil
	}
	d.screen.Notef("This removes stack %s from account %s in %s, and its webhook and runners from GitHub.\nEnter the stack's name to go on:", d.stack.Name, d.account.ID, d.account.Region())
	name, err := bufio.NewReader(in).ReadString('\n')
	if name = strings.TrimSpace(name); name != d.stack.Name {
		if err != nil && !errors.Is(err, io.EOF) {
			return err
		}
		return cli.Usage(fmt.Errorf("%q: want %q, the stack's name; nothing was removed", name, d.stack.Name), "--yes does not ask")
	}
	return nil
}

// stop sees to it that nothing starts, and ends what runs.
func (d *destruction) stop(ctx context.Context) error {
	d.screen.Notef("turning off rules, stopping tasks and builds")
	if err := deploy.DisableRules(ctx, d.account, d.stack.Name); err != nil {
		return err
	}
	if err := d.stopReplays(ctx); err != nil {
		return err
	}
	n, err := deploy.StopTasks(ctx, d.account, d.stack.Name)
	if err != nil {
		return err
	}
	if n > 0 {
		d.screen.Notef("  tasks stopped: %d", n)
	}
	if err := deploy.StopBuilds(ctx, d.account, d.stack.Name); err != nil {
		return err
	}
	return deploy.EmptyGroups(ctx, d.account, d.stack)
}

// stopReplays cancels replays of the archive that goes with the stack.
func (d *destruction) stopReplays(ctx context.Context) error {
	archive, bus := d.state.Outputs["ArchiveArn"], d.state.Outputs["BusArn"]
	if archive == "" {
		return nil
	}
	replays := view.NewReplays(d.account.Config, archive, bus)
	all, err := replays.List(ctx)
	if deploy.IsGone(err) {
		return nil
	}
	for _, r := range all {
		if err == nil && r.Ended.IsZero() {
			d.screen.Notef("  cancelling replay %s", r.Name)
			if err = replays.Cancel(ctx, r.Name); errors.Is(err, view.ErrNoReplay) { // it has just ended
				err = nil
			}
		}
	}
	return err
}

// leaveGitHub removes the webhook, and the registrations of runners of the ledger.
func (d *destruction) leaveGitHub(ctx context.Context) error {
	if err := d.removeHook(ctx); err != nil {
		return err
	}
	if err := d.readLedger(ctx); err != nil {
		return err
	}
	runners, err := d.registered(ctx)
	if err != nil {
		return err
	}
	for _, r := range runners {
		d.screen.Notef("removing runner %s from %s", r.name, r.at)
		err := d.forge.RemoveRunner(ctx, r.at, r.id)
		if err != nil && !errors.Is(err, github.ErrBusy) { // GitHub forgets it when it misses it; it is listed in the end
			return err
		}
	}
	return nil
}

func (d *destruction) removeHook(ctx context.Context) error {
	at, hook, err := d.findHook(ctx)
	if err != nil || hook == nil {
		return err
	}
	err = d.forge.RemoveWebhook(ctx, at, hook.ID)
	switch {
	case errors.Is(err, github.ErrByHand):
		d.screen.Notef("GitHub has no call to remove the webhook of %s to %s: do it on its settings page", at, hook.URL)
	case err != nil && !errors.Is(err, github.ErrNotFound):
		return err
	default:
		d.screen.Notef("removed the webhook of %s to %s", at, hook.URL)
	}
	return nil
}

// findHook returns the webhook that sends to the stack; nil when there is none, or
// nobody can tell any more.
func (d *destruction) findHook(ctx context.Context) (at github.Scope, hook *github.Hook, err error) {
	url := d.state.Outputs["WebhookUrl"]
	if d.Webhook.At == "" || url == "" {
		return at, nil, nil
	}
	if at, err = pipeline.HookScope(d.Webhook.At); err != nil {
		return at, nil, err
	}
	found, err := d.forge.Webhook(ctx, at, url)
	switch {
	case errors.Is(err, github.ErrNotFound):
		return at, nil, nil
	case errors.Is(err, github.ErrByHand): // an enterprise's
		return at, &github.Hook{URL: url}, nil
	case err != nil:
		return at, nil, err
	}
	return at, &found, nil
}

// A registration is a runner of the stack's that GitHub knows.
type registration struct {
	at   github.Scope
	name string
	id   int64
}

// readLedger finds out where runners are registered, and how they are called. A stack
// that is gone has no ledger.
func (d *destruction) readLedger(ctx context.Context) error {
	table := d.state.Outputs["TableName"]
	if !d.state.Exists() || table == "" {
		return nil
	}
	store := dynamo.Open(d.account.Config, dynamo.Config{Table: table, Limits: ledger.Limits{Pools: d.limits.Pools, Level: d.limits.Level}})
	runners, err := store.Runners(ctx, ledger.RunnerQuery{Limit: 1000})
	var state *ledger.State
	if err == nil {
		state, err = store.Snapshot(ctx)
	}
	if deploy.IsGone(err) {
		return nil
	} else if err != nil {
		return err
	}
	d.instance, d.places = state.Instance(), map[github.Scope]bool{}
	for _, r := range runners {
		at, err := pipeline.ScopeOf(d.limits.Level, r.Scope, d.GitHub.RunnersAt)
		if err != nil {
			return err
		}
		d.places[at] = true
	}
	return nil
}

// registered returns the stack's runners that GitHub knows.
func (d *destruction) registered(ctx context.Context) (all []registration, err error) {
	for at := range d.places {
		there, err := d.forge.Runners(ctx, at)
		if err != nil {
			return nil, err
		}
		for _, r := range there {
			if strings.HasPrefix(r.Name, d.instance+"-") {
				all = append(all, registration{at, r.Name, r.ID})
			}
		}
	}
	return all, nil
}

// keepData has CloudFormation keep what the data is in.
func (d *destruction) keepData(ctx context.Context) error {
	if !d.KeepData || !d.state.Exists() {
		return nil
	}
	settings, err := stack.Of(d.Config)
	if err != nil {
		return err
	}
	settings.KeepData = true
	template, err := stack.Render(settings)
	if err != nil {
		return err
	}
	d.screen.Notef("marking the data to be kept")
	a := deploy.NewArtifact("template", template.Body, ".yaml")
	bucket := d.bucket()
	if !template.Inline {
		if _, err := bucket.Put(ctx, a); err != nil {
			return err
		}
	}
	parameters := maps.Clone(d.state.Parameters)
	maps.Copy(parameters, d.configured())
	maps.DeleteFunc(parameters, func(name, _ string) bool { return strings.HasPrefix(name, "HostImage") }) // AWS looks them up
	parameters[deploy.RulesState] = deploy.RulesOff                                                        // a change of resources, without which AWS takes no other
	_, _, err = d.stack.Apply(ctx, deploy.Wanted{
		Template: template.Body, URL: bucket.URL(a.Key), Parameters: parameters, Tags: map[string]string{deploy.StackTag: d.stack.Name},
	})
	return err
}

func (d *destruction) deleteStack(ctx context.Context) error {
	if err := deploy.EmptyImages(ctx, d.account, d.stack.Name); err != nil {
		return err
	}
	d.screen.Notef("deleting stack %s", d.stack.Name)
	return d.stack.Delete(ctx)
}

// removeRest removes what the stack does not know.
func (d *destruction) removeRest(ctx context.Context) error {
	d.screen.Notef("removing the bucket, schemas and what else is left")
	if err := d.bucket().Remove(ctx); err != nil {
		return err
	}
	if err := view.NewSchemas(d.account.Config).Remove(ctx); err != nil && !deploy.IsGone(err) {
		return err
	}
	found, err := d.account.Find(ctx, d.stack.Name)
	if err != nil {
		return err
	}
	if err := deploy.Deregister(ctx, d.account, deploy.Families(found)); err != nil {
		return err
	}
	return deploy.RemoveLeftovers(ctx, d.account, d.unwanted(found))
}

// unwanted returns what should not be there.
func (d *destruction) unwanted(found []deploy.Thing) []deploy.Thing {
	if !d.KeepData {
		return found
	}
	return slices.DeleteFunc(slices.Clone(found), func(t deploy.Thing) bool { return t.Data })
}

// A remainder is what there still is.
type remainder struct {
	Left []deploy.Thing `json:"left"`
	Kept []deploy.Thing `json:"kept"`
}

// prove lists what there still is, at AWS and at GitHub.
func (d *destruction) prove(ctx context.Context) error {
	found, err := d.account.Find(ctx, d.stack.Name)
	if err != nil {
		return err
	}
	r := remainder{Left: append([]deploy.Thing{}, d.unwanted(found)...), Kept: []deploy.Thing{}}
	if d.KeepData {
		r.Kept = slices.DeleteFunc(slices.Clone(found), func(t deploy.Thing) bool { return !t.Data })
	}
	names, err := view.NewSchemas(d.account.Config).Names(ctx)
	if err != nil && !deploy.IsGone(err) {
		return err
	}
	for _, n := range names {
		r.Left = append(r.Left, deploy.Thing{Kind: "schema", Name: n})
	}
	if _, hook, err := d.findHook(ctx); err != nil {
		return err
	} else if hook != nil {
		r.Left = append(r.Left, deploy.Thing{Kind: "webhook", Name: hook.URL})
	}
	runners, err := d.registered(ctx)
	for _, one := range runners {
		r.Left = append(r.Left, deploy.Thing{Kind: "runner", Name: one.name + " at " + one.at.String()})
	}
	return errors.Join(err, d.report(r))
}

func (d *destruction) report(r remainder) error {
	if d.JSON {
		if err := d.screen.JSON(r); err != nil {
			return err
		}
	} else {
		for _, t := range r.Kept {
			fmt.Fprintf(d.screen.Out, "kept: %s\n", t)
		}
		for _, t := range r.Left {
			fmt.Fprintf(d.screen.Out, "left: %s\n", t)
		}
	}
	if len(r.Left) > 0 {
		return cli.Hint(fmt.Errorf("left of stack %s: %s", d.stack.Name, deploy.Describe(r.Left)), "some of it takes AWS minutes to forget: mayfly destroy again says what is left then")
	}
	if !d.JSON {
		fmt.Fprintf(d.screen.Out, "nothing else is left of stack %s, at AWS and at GitHub\n", d.stack.Name)
	}
	return nil
}
