package minirunner

import (
	"context"
	"encoding/json"
	"strings"
	"time"
)

// A conclusion is how a step or a job ended. The text is what the official runner
// prints; GitHub gets it in lower case.
type conclusion string

const (
	succeeded conclusion = "Succeeded"
	failed    conclusion = "Failed"
	canceled  conclusion = "Canceled"
	skipped   conclusion = "Skipped"
)

func (c conclusion) MarshalText() ([]byte, error) { return []byte(strings.ToLower(string(c))), nil }

// status is the word that conditions and contexts use.
func (c conclusion) status() string {
	switch c {
	case succeeded:
		return "success"
	case failed:
		return "failure"
	case canceled:
		return "cancelled"
	}
	return "skipped"
}

// A jobResult is what there is to tell of a job that has ended.
type jobResult struct {
	conclusion conclusion
	outputs    map[string]string
	steps      []stepResult
}

// A stepResult is one step in completejob.
type stepResult struct {
	ID          string       `json:"external_id"`
	Number      int          `json:"number"`
	Name        string       `json:"name"`
	Status      string       `json:"status"`
	Conclusion  conclusion   `json:"conclusion"`
	Started     *time.Time   `json:"started_at,omitempty"`
	Completed   *time.Time   `json:"completed_at,omitempty"`
	LogLines    int          `json:"completed_log_lines"`
	Annotations []annotation `json:"annotations"`
}

// An annotation is an error, warning or notice that a step printed.
type annotation struct {
	Level   string `json:"level"` // failure, warning or notice
	Message string `json:"message"`
	Title   string `json:"title,omitempty"`
	Path    string `json:"path,omitempty"`
	Line    int    `json:"startLine,omitempty"`
}

// A runService is where a job is renewed and completed, with the job's token.
type runService struct {
	caller *caller
	base   string
	job    *jobMessage
}

func newRunService(c Config, ref jobReference, m *jobMessage) (*runService, error) {
	system, err := m.system()
	if err != nil {
		return nil, err
	}
	token := system.Authorization.Parameters["AccessToken"]
	return &runService{&caller{c.HTTP, "Bearer " + token}, ref.RunServiceURL, m}, nil
}

// renew keeps the job's lease until ctx ends. A renewal that fails is made up
// for by the next: the lease lasts for ten minutes.
func (s *runService) renew(ctx context.Context, every time.Duration) {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			s.caller.post(ctx, s.base+"/renewjob", map[string]string{"planId": s.job.Plan.PlanID, "jobId": s.job.JobID}, nil)
		case <-ctx.Done():
			return
		}
	}
}

// completeLimit is how long the end of a job is tried to be told.
const completeLimit = 5 * time.Minute

func (s *runService) complete(ctx context.Context, r jobResult) error {
	ctx, cancel := context.WithTimeout(ctx, completeLimit)
	defer cancel()
	outputs := map[string]any{}
	for k, v := range r.outputs {
		outputs[k] = map[string]string{"value": v}
	}
	return persist(ctx, func() error {
		return s.caller.post(ctx, s.base+"/completejob", map[string]any{
			"planId": s.job.Plan.PlanID, "jobId": s.job.JobID, "conclusion": r.conclusion, "outputs": outputs,
			"stepResults": r.steps, "annotations": []annotation{}, "billingOwnerId": s.job.BillingOwnerID,
		}, nil)
	})
}

// awaitCancellation polls the broker while the job runs and calls cancel when it
// is told to. It ends with ctx, or when GitHub no longer knows the runner.
func (c Config) awaitCancellation(ctx context.Context, b *broker, jobID string, cancel func()) {
	for {
		m, err := c.message(ctx, b, statusBusy)
		if err != nil {
			return
		}
		if m == nil || m.MessageType != jobCancellation {
			continue
		}
		var body struct {
			JobID string `json:"jobId"`
		}
		if json.Unmarshal([]byte(m.Body), &body) == nil && strings.EqualFold(body.JobID, jobID) {
			cancel()
			return
		}
	}
}
