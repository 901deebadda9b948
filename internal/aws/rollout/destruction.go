package rollout

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"

	"github.com/mayfly-ci/mayfly/internal/aws/deploy"
	"github.com/mayfly-ci/mayfly/internal/aws/stack"
	"github.com/mayfly-ci/mayfly/internal/aws/view"
	"github.com/mayfly-ci/mayfly/internal/github"
	"github.com/mayfly-ci/mayfly/internal/ledger"
	"github.com/mayfly-ci/mayfly/internal/ledger/dynamo"
	"github.com/mayfly-ci/mayfly/internal/pipeline"
)

// A Destruction takes a stack down. [Destruction.Run] takes all steps, [Destruction.Left] lists
// what they left.
type Destruction struct {
	*Site
	Forge    *github.Client
	KeepData bool // keep the event bus with its archive, and the logs

	state deploy.State

	// Read from the ledger, which is deleted with the stack.
	instance string                // prefix of the names of all its runners
	places   map[github.Scope]bool // where they are registered
}

// Begin looks at the account and the stack, before anything is removed.
func (d *Destruction) Begin(ctx context.Context) (err error) {
	if err := d.Account.Identify(ctx); err != nil {
		return err
	}
	d.state, err = d.Stack.State(ctx)
	return err
}

// Run takes the stack down, as far as it is there.
func (d *Destruction) Run(ctx context.Context) error {
	for _, step := range []func(context.Context) error{d.stop, d.leaveGitHub, d.keepData, d.deleteStack, d.removeRest} {
		if err := step(ctx); err != nil {
			return err
		}
	}
	return nil
}

// stop turns off all that starts things, and ends what runs.
func (d *Destruction) stop(ctx context.Context) error {
	d.note("turning off rules, stopping tasks and builds")
	if err := deploy.DisableRules(ctx, d.Account, d.Stack.Name); err != nil {
		return err
	}
	if err := d.stopReplays(ctx); err != nil {
		return err
	}
	n, err := deploy.StopTasks(ctx, d.Account, d.Stack.Name)
	if err != nil {
		return err
	}
	if n > 0 {
		d.note("  tasks stopped: %d", n)
	}
	if err := deploy.StopBuilds(ctx, d.Account, d.Stack.Name); err != nil {
		return err
	}
	return deploy.EmptyGroups(ctx, d.Account, d.Stack)
}

// stopReplays cancels replays of the archive that goes with the stack.
func (d *Destruction) stopReplays(ctx context.Context) error {
	archive, bus := d.state.Outputs["ArchiveArn"], d.state.Outputs["BusArn"]
	if archive == "" {
		return nil
	}
	replays := view.NewReplays(d.Account.Config, archive, bus)
	all, err := replays.List(ctx)
	if deploy.IsGone(err) {
		return nil
	}
	for _, r := range all {
		if err == nil && r.Ended.IsZero() {
			d.note("  cancelling replay %s", r.Name)
			if err = replays.Cancel(ctx, r.Name); errors.Is(err, view.ErrNoReplay) { // it ended meanwhile
				err = nil
			}
		}
	}
	return err
}

// leaveGitHub removes the webhook, and the registrations of the ledger's runners.
func (d *Destruction) leaveGitHub(ctx context.Context) error {
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
		d.note("removing runner %s from %s", r.name, r.at)
		err := d.Forge.RemoveRunner(ctx, r.at, r.id)
		if err != nil && !errors.Is(err, github.ErrBusy) { // GitHub removes a busy runner when it goes offline; Left lists it
			return err
		}
	}
	return nil
}

func (d *Destruction) removeHook(ctx context.Context) error {
	at, hook, err := d.findHook(ctx)
	if err != nil || hook == nil {
		return err
	}
	err = d.Forge.RemoveWebhook(ctx, at, hook.ID)
	switch {
	case errors.Is(err, github.ErrByHand):
		d.note("GitHub has no call to remove the webhook of %s to %s: remove it on its settings page", at, hook.URL)
	case err != nil && !errors.Is(err, github.ErrNotFound):
		return err
	default:
		d.note("removed the webhook of %s to %s", at, hook.URL)
	}
	return nil
}

// findHook returns the webhook that sends to the stack; nil when it does not exist, or its
// address is not known any more.
func (d *Destruction) findHook(ctx context.Context) (at github.Scope, hook *github.Hook, err error) {
	url := d.state.Outputs["WebhookUrl"]
	if d.Webhook.At == "" || url == "" {
		return at, nil, nil
	}
	if at, err = pipeline.HookScope(d.Webhook.At); err != nil {
		return at, nil, err
	}
	found, err := d.Forge.Webhook(ctx, at, url)
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

// A registration is a runner of the stack that is registered at GitHub.
type registration struct {
	at   github.Scope
	name string
	id   int64
}

// readLedger finds out where runners are registered, and the prefix of their names. A stack
// that is gone has no ledger.
func (d *Destruction) readLedger(ctx context.Context) error {
	table := d.state.Outputs["TableName"]
	if !d.state.Exists() || table == "" {
		return nil
	}
	limits := d.Limits()
	store := dynamo.Open(d.Account.Config, dynamo.Config{Table: table, Limits: limits})
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
		at, err := pipeline.ScopeOf(limits.Level, r.Scope, d.GitHub.RunnersAt)
		if err != nil {
			return err
		}
		d.places[at] = true
	}
	return nil
}

// registered returns the stack's runners that are registered at GitHub.
func (d *Destruction) registered(ctx context.Context) (all []registration, err error) {
	for at := range d.places {
		there, err := d.Forge.Runners(ctx, at)
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

// keepData makes CloudFormation keep the resources that hold data.
func (d *Destruction) keepData(ctx context.Context) error {
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
	d.note("marking the data to be kept")
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
	parameters[deploy.RulesState] = deploy.RulesOff                                                        // AWS refuses an update that changes no resource
	_, _, err = d.Stack.Apply(ctx, deploy.Wanted{
		Template: template.Body, URL: bucket.URL(a.Key), Parameters: parameters, Tags: d.tags(),
	}, func([]deploy.Change) error { return nil }) // no consent needed: everything else is deleted anyway
	return err
}

func (d *Destruction) deleteStack(ctx context.Context) error {
	if err := deploy.UnprotectTable(ctx, d.Account, d.Stack.Name); err != nil {
		return err
	}
	if err := deploy.EmptyImages(ctx, d.Account, d.Stack.Name); err != nil {
		return err
	}
	d.note("deleting stack %s", d.Stack.Name)
	return d.Stack.Delete(ctx)
}

// removeRest removes what is not part of the stack.
func (d *Destruction) removeRest(ctx context.Context) error {
	d.note("removing the bucket, schemas and leftovers")
	if err := d.bucket().Remove(ctx); err != nil {
		return err
	}
	if err := view.NewSchemas(d.Account.Config).Remove(ctx); err != nil && !deploy.IsGone(err) {
		return err
	}
	found, err := d.Account.Find(ctx, d.Stack.Name)
	if err != nil {
		return err
	}
	if err := deploy.Deregister(ctx, d.Account, deploy.Families(found)); err != nil {
		return err
	}
	return deploy.RemoveLeftovers(ctx, d.Account, d.unwanted(found))
}

// unwanted returns what should not be there.
func (d *Destruction) unwanted(found []deploy.Thing) []deploy.Thing {
	if !d.KeepData {
		return found
	}
	return slices.DeleteFunc(slices.Clone(found), func(t deploy.Thing) bool { return t.Data })
}

// A Remainder is what still exists of a stack.
type Remainder struct {
	Left []deploy.Thing `json:"left"`
	Kept []deploy.Thing `json:"kept"` // because the data is kept
}

// Left lists what still exists, at AWS and at GitHub.
func (d *Destruction) Left(ctx context.Context) (Remainder, error) {
	r := Remainder{Left: []deploy.Thing{}, Kept: []deploy.Thing{}}
	found, err := d.Account.Find(ctx, d.Stack.Name)
	if err != nil {
		return r, err
	}
	r.Left = append(r.Left, d.unwanted(found)...)
	if d.KeepData {
		r.Kept = slices.DeleteFunc(slices.Clone(found), func(t deploy.Thing) bool { return !t.Data })
	}
	names, err := view.NewSchemas(d.Account.Config).Names(ctx)
	if err != nil && !deploy.IsGone(err) {
		return r, err
	}
	for _, n := range names {
		r.Left = append(r.Left, deploy.Thing{Kind: "schema", Name: n})
	}
	if _, hook, err := d.findHook(ctx); err != nil {
		return r, err
	} else if hook != nil {
		r.Left = append(r.Left, deploy.Thing{Kind: "webhook", Name: hook.URL})
	}
	runners, err := d.registered(ctx)
	for _, one := range runners {
		r.Left = append(r.Left, deploy.Thing{Kind: "runner", Name: one.name + " at " + one.at.String()})
	}
	return r, err
}
