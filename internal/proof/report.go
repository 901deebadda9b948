package proof

// A Report is what a test comes to.
type Report struct {
	Repository string `json:"repository"`
	Branch     string `json:"branch"` // removed
	Run        string `json:"run"`    // its page
	Jobs       []Job  `json:"jobs"`
	Broken     *Link  `json:"broken,omitempty"` // the first link that broke
}

// A Job is how far one of the test's jobs came.
type Job struct {
	Name     string             `json:"name"`
	Job      int64              `json:"job"`
	Pool     string             `json:"pool"`
	Runner   string             `json:"runner"`
	Result   string             `json:"result"`
	Place    string             `json:"place"`         // host name and mount namespace, by the job's own word
	Hops     map[string]float64 `json:"hops_s"`        // after it was queued; those of [Hops] that were reached
	Standing string             `json:"last_hop"`      // the last of them
	After    float64            `json:"last_hop_at_s"` // and when
}

func (p *proof) report(broken *Link) Report {
	r := Report{Repository: p.Repository, Branch: p.Branch, Run: p.run.URL, Broken: broken, Jobs: []Job{}}
	for _, t := range p.traces {
		r.Jobs = append(r.Jobs, t.report())
	}
	return r
}

func (t *trace) report() Job {
	j := Job{
		Name: t.Name, Job: t.job.ID, Pool: t.kept.Pool, Runner: t.job.RunnerName, Result: t.job.Conclusion, Place: t.identity,
		Hops: map[string]float64{}, Standing: t.standing(),
	}
	for i, at := range t.hops() {
		if !at.IsZero() {
			j.After = max(0, at.Sub(t.job.Created)).Seconds()
			j.Hops[Hops[i]] = j.After
		}
	}
	return j
}
