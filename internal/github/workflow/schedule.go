package workflow

import (
	"fmt"
	"time"

	"github.com/robfig/cron/v3"
)

// parse reads the line as GitHub does: five fields, in UTC or the named timezone.
// https://docs.github.com/en/actions/reference/workflows-and-actions/events-that-trigger-workflows#schedule
func (s Schedule) parse() (cron.Schedule, error) {
	text := s.Cron
	if s.Timezone != "" {
		text = "CRON_TZ=" + s.Timezone + " " + text
	}
	parser := cron.NewParser(cron.Minute | cron.Hour | cron.Dom | cron.Month | cron.Dow)
	schedule, err := parser.Parse(text)
	if err != nil {
		return nil, fmt.Errorf("cron %q: %w", s.Cron, err)
	}
	return schedule, nil
}

// Next returns when the schedule is due after t; the zero time if never.
func (s Schedule) Next(t time.Time) time.Time {
	schedule, err := s.parse()
	if err != nil {
		return time.Time{}
	}
	return schedule.Next(t.UTC())
}
