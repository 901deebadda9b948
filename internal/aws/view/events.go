// Package view reads what there is to read of a stack, in the words of one machine: its
// events, dead letters, quarantine and schemas. Its jobs and runners are ledger/dynamo's.
package view

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"

	"github.com/mayfly-ci/mayfly/internal/bus"
)

// Events are those that a rule of the stack writes to a log group, each an envelope. It
// is for one goroutine.
type Events struct {
	api   *cloudwatchlogs.Client
	group string

	seen   map[string]int64 // numbers given, by the ids of events
	newest time.Time        // of all that was read
}

// NewEvents returns the events in the log group.
func NewEvents(c aws.Config, group string) *Events {
	return &Events{api: cloudwatchlogs.NewFromConfig(c), group: group, seen: map[string]int64{}}
}

// late is how long after its time an event may still come to the log.
const late = 30 * time.Second

// Events returns those that pass f, the newest first. Numbers are given as events are
// seen, so that who follows gets each once. Without a time it looks back as far as it must for
// as many as were asked for: an hour, a day, a month.
func (e *Events) Events(ctx context.Context, f bus.Filter) (all []bus.Stored, err error) {
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

func (e *Events) since(ctx context.Context, from time.Time, f bus.Filter) (all []bus.Stored, err error) {
	in := &cloudwatchlogs.FilterLogEventsInput{LogGroupName: &e.group, StartTime: aws.Int64(from.UnixMilli())}
	for pages := cloudwatchlogs.NewFilterLogEventsPaginator(e.api, in); pages.HasMorePages(); {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, fmt.Errorf("events in %s: %w", e.group, err)
		}
		for _, line := range page.Events {
			s, ok := e.read([]byte(aws.ToString(line.Message)), time.UnixMilli(aws.ToInt64(line.Timestamp)).UTC())
			if !ok || s.Seq <= f.After || f.Source != "" && f.Source != s.Event.Source || f.DetailType != "" && f.DetailType != s.Event.DetailType {
				continue
			}
			if f.Pattern == nil || f.Pattern.Matches([]byte(aws.ToString(line.Message))) {
				all = append(all, s)
			}
		}
	}
	slices.SortStableFunc(all, func(a, b bus.Stored) int { return b.Published.Compare(a.Published) })
	if f.Limit > 0 {
		all = all[:min(len(all), f.Limit)]
	}
	return all, nil
}

// read reads a line of the log. One that is no event is none of ours.
func (e *Events) read(line []byte, at time.Time) (s bus.Stored, ok bool) {
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
