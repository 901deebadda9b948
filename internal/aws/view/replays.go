package view

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge/types"

	"github.com/mayfly-ci/mayfly/internal/aws/refusal"
	"github.com/mayfly-ci/mayfly/internal/event"
	"github.com/mayfly-ci/mayfly/internal/event/pattern"
	"github.com/mayfly-ci/mayfly/internal/eventlog"
)

// Replays are EventBridge's replays of the stack's archive. The events of one minute come before
// those of the next, in no order within it, and EventBridge counts none of them.
//
// https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-replay-archived-event.html
type Replays struct {
	archive, bus string // ARNs
	api          *eventbridge.Client
}

// NewReplays returns those of archive to bus, which are ARNs.
func NewReplays(c aws.Config, archive, bus string) *Replays {
	return &Replays{archive, bus, eventbridge.NewFromConfig(c)}
}

// A Replay is what EventBridge tells of one.
type Replay struct {
	Name    string    `json:"name"`
	State   string    `json:"state"` // starting, running, cancelling, completed, cancelled or failed
	Reason  string    `json:"reason,omitempty"`
	From    time.Time `json:"from"`
	To      time.Time `json:"to"`
	Reached time.Time `json:"reached"` // the time of the last event that was delivered; zero for none
	Begun   time.Time `json:"begun"`
	Ended   time.Time `json:"ended"` // zero while it runs
}

// ArchiveLag is how long an event may take to get into the archive.
// https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-archive.html#eb-archive-timing
const ArchiveLag = 10 * time.Minute

// A Rule is one of the bus.
type Rule struct {
	Name, ARN string
	Off       bool
	pattern   string
}

// Rules returns the rules of the bus, but for those that AWS keeps there itself.
func (r *Replays) Rules(ctx context.Context) (rules []Rule, err error) {
	for in := (&eventbridge.ListRulesInput{EventBusName: &r.bus}); ; {
		out, err := r.api.ListRules(ctx, in)
		if err != nil {
			return nil, fmt.Errorf("rules of the bus: %w", err)
		}
		for _, rule := range out.Rules {
			if aws.ToString(rule.ManagedBy) == "" && rule.EventPattern != nil {
				rules = append(rules, Rule{aws.ToString(rule.Name), aws.ToString(rule.Arn), rule.State == types.RuleStateDisabled, *rule.EventPattern})
			}
		}
		if in.NextToken = out.NextToken; in.NextToken == nil {
			return rules, nil
		}
	}
}

// TakesReplay reports whether events of the replay of that name can match, by what the pattern says of
// names of replays.
func (r Rule) TakesReplay(name string) (bool, error) {
	var said struct {
		Names json.RawMessage `json:"replay-name"`
	}
	if err := json.Unmarshal([]byte(r.pattern), &said); err != nil || said.Names == nil {
		return true, err
	}
	p, err := pattern.Parse(slices.Concat([]byte(`{"replay-name":`), said.Names, []byte(`}`)))
	if err != nil {
		return false, fmt.Errorf("rule %q: %w", r.Name, err)
	}
	return p.Matches(named([]byte(`{"source":""}`), name)), nil
}

// named returns an envelope, which has a member at least, with the name of a replay.
func named(envelope []byte, name string) []byte {
	return fmt.Appendf(nil, `{"replay-name":%q,%s`, name, bytes.TrimSpace(envelope)[1:])
}

// Start begins a replay of the events of s, to rules, or to all that there are. Its pattern does
// not count: EventBridge has nothing of the kind.
func (r *Replays) Start(ctx context.Context, name string, s eventlog.Selection, rules []Rule) error {
	to := &types.ReplayDestination{Arn: &r.bus}
	for _, rule := range rules {
		to.FilterArns = append(to.FilterArns, rule.ARN)
	}
	_, err := r.api.StartReplay(ctx, &eventbridge.StartReplayInput{
		ReplayName: &name, EventSourceArn: &r.archive, EventStartTime: &s.From, EventEndTime: &s.To, Destination: to,
	})
	if refusal.Is(err, "ResourceAlreadyExistsException") {
		return refusal.New(fmt.Errorf("name %q: a replay of that name exists", name), "--name gives another: EventBridge knows names for 90 days, and all of the account's")
	}
	return err
}

// Preview counts, in the log of events, what a replay of s to rules would deliver.
func (r *Replays) Preview(ctx context.Context, log *Events, name string, s eventlog.Selection, rules []Rule) (eventlog.Preview, error) {
	p := eventlog.Preview{Deliveries: map[string]int{}}
	patterns := map[string]*pattern.Pattern{}
	for _, rule := range rules {
		if rule.Off {
			continue
		}
		compiled, err := pattern.Parse([]byte(rule.pattern))
		if err != nil {
			return p, fmt.Errorf("rule %q: %w", rule.Name, err)
		}
		patterns[rule.Name] = compiled
	}
	err := log.each(ctx, s.From, s.To, "", func(_ event.Event, envelope []byte) error {
		matched, envelope := 0, named(envelope, name)
		for rule, compiled := range patterns {
			if compiled.Matches(envelope) {
				p.Deliveries[rule]++
				matched = 1
			}
		}
		p.Events += matched
		return nil
	})
	return p, err
}

// List returns the replays of the archive that EventBridge knows, the newest first.
func (r *Replays) List(ctx context.Context) (all []Replay, err error) {
	for in := (&eventbridge.ListReplaysInput{EventSourceArn: &r.archive}); ; {
		out, err := r.api.ListReplays(ctx, in)
		if err != nil {
			return nil, fmt.Errorf("replays of the archive: %w", err)
		}
		for _, one := range out.Replays {
			all = append(all, Replay{
				Name: aws.ToString(one.ReplayName), State: strings.ToLower(string(one.State)), Reason: aws.ToString(one.StateReason),
				From: aws.ToTime(one.EventStartTime), To: aws.ToTime(one.EventEndTime), Reached: aws.ToTime(one.EventLastReplayedTime),
				Begun: aws.ToTime(one.ReplayStartTime), Ended: aws.ToTime(one.ReplayEndTime),
			})
		}
		if in.NextToken = out.NextToken; in.NextToken == nil {
			slices.SortFunc(all, func(a, b Replay) int { return b.Begun.Compare(a.Begun) })
			return all, nil
		}
	}
}

// ErrNoReplay is of a name under which no replay of the archive runs.
var ErrNoReplay = errors.New("no replay of that name runs")

// Cancel ends a replay that runs. What was delivered stays delivered.
func (r *Replays) Cancel(ctx context.Context, name string) error {
	out, err := r.api.DescribeReplay(ctx, &eventbridge.DescribeReplayInput{ReplayName: &name})
	runs := err == nil && aws.ToString(out.EventSourceArn) == r.archive && slices.Contains([]types.ReplayState{types.ReplayStateStarting, types.ReplayStateRunning}, out.State)
	if refusal.Is(err, "ResourceNotFoundException") || err == nil && !runs {
		return fmt.Errorf("replay %q: %w", name, ErrNoReplay)
	}
	if err == nil {
		_, err = r.api.CancelReplay(ctx, &eventbridge.CancelReplayInput{ReplayName: &name})
	}
	return err
}
