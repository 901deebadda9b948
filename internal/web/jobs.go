package web

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/mayfly-ci/mayfly/internal/inspect"
	"github.com/mayfly-ci/mayfly/internal/ledger"
)

// jobsShown is how many jobs are on a page.
const jobsShown = 50

// A choice is an entry of a list to choose from.
type choice struct {
	Value, Name string
	Chosen      bool
}

// A jobList is a page of jobs.
type jobList struct {
	Jobs    []inspect.Job
	States  []choice
	Pools   []choice
	Ages    []choice
	Query   url.Values
	Next    string // address of the next page; "" on the last
	First   string // address of the first page; "" on it
	Now     time.Time
	Filters bool // some filter is set
}

// stateChoices are the states to filter by: those of jobs, and how they ended.
func stateChoices() []choice {
	return []choice{
		{Value: "", Name: "any state"}, {Value: "open", Name: "not over"}, {Value: "queued", Name: "queued"}, {Value: "waiting", Name: "waiting at GitHub"},
		{Value: "running", Name: "running"}, {Value: "unroutable", Name: "fits no pool"}, {Value: "hosted", Name: "for GitHub's runners"}, {Value: "completed", Name: "completed"},
		{Value: "success", Name: "success"}, {Value: "failure", Name: "failure"}, {Value: "cancelled", Name: "cancelled"}, {Value: "lost", Name: "lost"}, {Value: "abandoned", Name: "abandoned"},
	}
}

func ageChoices() []choice {
	return []choice{{Name: "any time"}, {Value: "1h", Name: "last hour"}, {Value: "24h", Name: "last day"}, {Value: "168h", Name: "last week"}}
}

// chosen marks the choice of value, which must be one of them.
func chosen(all []choice, what, value string) ([]choice, error) {
	i := slices.IndexFunc(all, func(c choice) bool { return c.Value == value })
	if i < 0 {
		return all, &fault{http.StatusBadRequest, fmt.Sprintf("%s %q: want one of the list.", what, value), ""}
	}
	all[i].Chosen = true
	return all, nil
}

func (p *Page) jobs(r *request) (view, error) {
	values := r.URL.Query()
	query, err := jobQuery(values, r.now)
	if err != nil {
		return view{}, err
	}
	query.Limit = jobsShown + 1
	jobs, err := r.Jobs(r.Context(), query, r.now)
	if err != nil {
		return view{}, err
	}
	status, err := p.status(r.Context(), r.Source, r.now)
	if err != nil {
		return view{}, err
	}
	l := jobList{Jobs: jobs[:min(len(jobs), jobsShown)], Query: values, Now: r.now, Filters: len(values) > 0}
	var err1, err2, err3 error
	l.States, err1 = chosen(stateChoices(), "state", values.Get("state"))
	l.Ages, err2 = chosen(ageChoices(), "since", values.Get("since"))
	l.Pools, err3 = chosen(poolChoices(status, values.Get("pool")), "pool", values.Get("pool"))
	if len(jobs) > jobsShown {
		l.Next = with(r.URL.Path, values, "after", l.Jobs[jobsShown-1].Key.String())
	}
	if values.Get("after") != "" {
		l.First = with(r.URL.Path, values, "after", "")
	}
	return view{Name: "jobs", Title: "Jobs", Place: "/jobs", Live: true, Data: l}, errors.Join(err1, err2, err3)
}

// jobQuery reads a query from the address of a page.
func jobQuery(v url.Values, now time.Time) (q ledger.JobQuery, err error) {
	q = ledger.JobQuery{Repository: strings.TrimSpace(v.Get("repository")), Pool: v.Get("pool"), Text: strings.TrimSpace(v.Get("q"))}
	switch state := v.Get("state"); ledger.JobState(state) {
	case "":
	case "open":
		q.Open = true
	case ledger.JobWaiting, ledger.JobQueued, ledger.JobUnroutable, ledger.JobHosted, ledger.JobRunning, ledger.JobCompleted:
		q.States = []ledger.JobState{ledger.JobState(state)}
	default:
		q.Conclusion = state
	}
	if since := v.Get("since"); since != "" {
		d, err := time.ParseDuration(since)
		if err != nil {
			return q, &fault{http.StatusBadRequest, fmt.Sprintf("since %q: want a duration, such as 24h.", since), ""}
		}
		q.Since = now.Add(-d)
	}
	if after := v.Get("after"); after != "" {
		if q.After, err = ledger.ParseJobKey(after); err != nil {
			return q, &fault{http.StatusBadRequest, err.Error(), "Begin with the first page."}
		}
	}
	return q, nil
}

func poolChoices(v *inspect.Status, chosen string) []choice {
	all := []choice{{Name: "any pool"}}
	for _, p := range v.Pools {
		all = append(all, choice{Value: p.Pool, Name: p.Pool})
	}
	if !slices.ContainsFunc(all, func(c choice) bool { return c.Value == chosen }) { // one that was configured once
		all = append(all, choice{Value: chosen, Name: chosen})
	}
	return all
}

// with returns an address with one value set, or removed where it is "".
func with(path string, v url.Values, key, value string) string {
	next := url.Values{}
	for k, list := range v {
		if k != key && len(list) > 0 && list[0] != "" {
			next.Set(k, list[0])
		}
	}
	if value != "" {
		next.Set(key, value)
	}
	if len(next) == 0 {
		return path
	}
	return path + "?" + next.Encode()
}

// A jobStory is what a job's page shows.
type jobStory struct {
	inspect.Job
	Story   *inspect.Story
	Fall    waterfall
	Runners []ledger.Runner // made for it, or that ran it
	Now     time.Time
}

func (p *Page) job(r *request) (view, error) {
	key, err := ledger.ParseJobKey(r.PathValue("key"))
	if err != nil {
		return view{}, &fault{http.StatusNotFound, err.Error(), "A job's key is such as acme/web/123/1."}
	}
	jobs, err := r.Jobs(r.Context(), ledger.JobQuery{Key: key}, r.now)
	if err != nil {
		return view{}, err
	}
	runners, err := r.Ledger.Runners(r.Context(), ledger.RunnerQuery{Job: key})
	if err != nil {
		return view{}, err
	}
	story, err := r.Why(r.Context(), key, r.now)
	if err != nil {
		return view{}, err
	}
	j := jobs[0]
	if own := func(o ledger.Runner) bool { return o.Name == j.RunnerName }; j.RunnerName != "" && !slices.ContainsFunc(runners, own) {
		other, err := r.Ledger.Runners(r.Context(), ledger.RunnerQuery{Name: j.RunnerName})
		if err != nil && !errors.Is(err, ledger.ErrNotFound) { // it is none of ours
			return view{}, err
		}
		runners = append(other, runners...)
	}
	return view{
		Name: "job", Title: j.Name, Place: "/jobs", Live: true,
		Data: jobStory{j, story, fallOf(j.Job, runners, r.now), runners, r.now},
	}, nil
}
