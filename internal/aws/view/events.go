// Package view reads what there is to read of a stack, in the words of one machine: its
// events, dead letters, quarantine, replays and schemas. Its jobs and runners are ledger/dynamo's.
package view

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"

	"github.com/mayfly-ci/mayfly/internal/event"
	"github.com/mayfly-ci/mayfly/internal/eventlog"
)

// Events are those that a rule of the stack writes to a log group, each an envelope. One
// list is read at a time.
type Events struct {
	mu    sync.Mutex
	api   *cloudwatchlogs.Client
	group string

	seen   map[string]int64 // numbers given, by the ids of events; guarded by mu
	newest time.Time        // of all that was read; guarded by mu
}

// NewEvents returns the events in the log group.
func NewEvents(c aws.Config, group string) *Events {
	return &Events{api: cloudwatchlogs.NewFromConfig(c), group: group, seen: map[string]int64{}}
}

// late is how long after its time an event may still come to the log.
const late = 30 * time.Second

// Events returns those that pass f, the newest first. Numbers are given as events are
// seen, so that who follows gets each once. Without a time it looks back as far as it must for
// as many as were asked for: an hour, a day, a month. Before does not count: numbers say nothing of age.
func (e *Events) Events(ctx context.Context, f eventlog.Filter) (all []eventlog.Stored, err error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	back := []time.Duration{time.Hour, 24 * time.Hour, 31 * 24 * time.Hour}
	switch {
	case f.After > 0 && !e.newest.IsZero():
		return e.since(ctx, e.newest.Add(-late), f)
	case !f.Since.IsZero():
		return e.since(ctx, f.Since, f)
	}
	for _, d := range back {
		if all, err = e.since(ctx, time.Now().Add(-d), f); err != nil || f.Limit > 0 && len(all) >= f.Limit {
			break
		}
	}
	return all, err
}

func (e *Events) since(ctx context.Context, from time.Time, f eventlog.Filter) (all []eventlog.Stored, err error) {
	in := &cloudwatchlogs.FilterLogEventsInput{StartTime: aws.Int64(from.UnixMilli())}
	if err := e.lines(ctx, in, func(line []byte, at time.Time) error {
		s, ok := e.read(line, at)
		if !ok || s.Seq <= f.After || f.ID != "" && f.ID != s.Event.ID {
			return nil
		}
		if f.Source != "" && f.Source != s.Event.Source || f.DetailType != "" && f.DetailType != s.Event.DetailType {
			return nil
		}
		if f.Pattern == nil || f.Pattern.Matches(line) {
			all = append(all, s)
		}
		return nil
	}); err != nil {
		return nil, err
	}
	slices.SortStableFunc(all, func(a, b eventlog.Stored) int { return b.Published.Compare(a.Published) })
	if f.Limit > 0 {
		all = all[:min(len(all), f.Limit)]
	}
	return all, nil
}

// Each calls f with each event of one type, a word, that is of the time from from until to, in about the
// order in which they came, until f returns an error; a zero time is now. An event may come twice.
// A page of the log is held at a time, which is 1 MB.
func (e *Events) Each(ctx context.Context, from, to time.Time, detailType string, f func(event.Event) error) error {
	return e.each(ctx, from, to, detailType, func(one event.Event, _ []byte) error { return f(one) })
}

// each is Each with the envelopes, too, as EventBridge wrote them; "" is every type. Events of a
// replay are left out: they have come before.
func (e *Events) each(ctx context.Context, from, to time.Time, detailType string, f func(e event.Event, envelope []byte) error) error {
	if to.IsZero() {
		to = time.Now()
	}
	in := &cloudwatchlogs.FilterLogEventsInput{StartTime: aws.Int64(from.UnixMilli()), EndTime: aws.Int64(to.Add(late).UnixMilli())}
	if detailType != "" {
		in.FilterPattern = aws.String(strconv.Quote(detailType)) // lines with that word in them: the others need not come here
	}
	return e.lines(ctx, in, func(line []byte, _ time.Time) error {
		var one event.Event
		if err := json.Unmarshal(line, &one); err != nil || one.ReplayName != "" || one.Time.Before(from) || !one.Time.Before(to) {
			return nil
		}
		if detailType != "" && one.DetailType != detailType {
			return nil
		}
		return f(one, line)
	})
}

// lines calls f with each line of the log that in is about, until f returns an error.
func (e *Events) lines(ctx context.Context, in *cloudwatchlogs.FilterLogEventsInput, f func(line []byte, at time.Time) error) error {
	in.LogGroupName = &e.group
	for pages := cloudwatchlogs.NewFilterLogEventsPaginator(e.api, in); pages.HasMorePages(); {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return fmt.Errorf("events in %s: %w", e.group, err)
		}
		for _, line := range page.Events {
			if err := f([]byte(aws.ToString(line.Message)), time.UnixMilli(aws.ToInt64(line.Timestamp)).UTC()); err != nil {
				return err
			}
		}
	}
	return nil
}

// read reads a line of the log. One that is no event is none of ours.
func (e *Events) read(line []byte, at time.Time) (s eventlog.Stored, ok bool) {
	if err := json.Unmarshal(line, &s.Event); err != nil {
		return s, false
	}
	if at.After(e.newest) {
		e.newest = at
	}
	n, known := e.seen[s.Event.ID]
	if !known {
		n = int64(len(e.seen)) + 1
		e.seen[s.Event.ID] = n
	}
	s.Seq, s.Published = n, at
	return s, true
}
