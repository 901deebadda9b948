package awstest

import (
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Replays stand for EventBridge's replays before moto's, which are over when StartReplay answers, and
// go to every rule with all that was ever archived. Here a replay runs until [Replays.Complete] or a cancellation,
// and delivers nothing. All other calls of EventBridge go to moto.
//
// https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_StartReplay.html
type Replays struct {
	moto http.Handler
	mu   sync.Mutex
	all  []*Replay // guarded by mu; what is in it, too
}

// A Replay is one as it was asked for, and how it stands.
type Replay struct {
	ReplayName, Description, EventSourceArn string
	EventStartTime, EventEndTime            float64
	Destination                             struct {
		Arn        string
		FilterArns []string
	}

	state string
	begun time.Time
}

// Replays returns one before c.
func (c *Cloud) Replays() *Replays { return &Replays{moto: c.proxy()} }

// Complete lets the replay of that name be over.
func (r *Replays) Complete(name string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if i := r.index(name); i >= 0 {
		r.all[i].state = "COMPLETED"
	}
}

// Asked returns what the replay of that name was asked for as.
func (r *Replays) Asked(name string) (asked Replay) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if i := r.index(name); i >= 0 {
		asked = *r.all[i]
	}
	return asked
}

func (r *Replays) index(name string) int {
	return slices.IndexFunc(r.all, func(one *Replay) bool { return one.ReplayName == name })
}

// ServeHTTP implements [http.Handler].
func (r *Replays) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	target := req.Header.Get("X-Amz-Target")
	if !strings.HasSuffix(target, "Replay") && !strings.HasSuffix(target, "Replays") {
		r.moto.ServeHTTP(w, req)
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	operations{
		"StartReplay": exactly(r.start), "ListReplays": exactly(r.list), "DescribeReplay": exactly(r.describe), "CancelReplay": exactly(r.cancel),
	}.ServeHTTP(w, req)
}

var (
	replayNames = regexp.MustCompile(`^[.\-_A-Za-z0-9]{1,64}$`)
	archives    = regexp.MustCompile(`^arn:aws:events:` + Region + `:` + Account + `:archive/(.+)$`)
)

func (r *Replays) start(in Replay) (any, error) {
	archive := archives.FindStringSubmatch(in.EventSourceArn)
	switch {
	case !replayNames.MatchString(in.ReplayName) || archive == nil || in.EventStartTime >= in.EventEndTime || in.EventEndTime == 0:
		return nil, refused{"ValidationException", fmt.Sprintf("%+v", in)}
	case in.Destination.Arn != fmt.Sprintf("arn:aws:events:%s:%s:event-bus/%s", Region, Account, archive[1]): // archives are called as their bus here
		return nil, refused{"ValidationException", "Cross event bus replay is not permitted."}
	case r.index(in.ReplayName) >= 0:
		return nil, refused{"ResourceAlreadyExistsException", "Replay " + in.ReplayName + " already exists."}
	}
	in.state, in.begun = "RUNNING", time.Now()
	r.all = append(r.all, &in)
	return map[string]any{"ReplayArn": "arn:aws:events:" + Region + ":" + Account + ":replay/" + in.ReplayName, "State": "STARTING"}, nil
}

func (r *Replay) told() map[string]any {
	return map[string]any{
		"ReplayName": r.ReplayName, "EventSourceArn": r.EventSourceArn, "State": r.state,
		"EventStartTime": r.EventStartTime, "EventEndTime": r.EventEndTime, "ReplayStartTime": r.begun.Unix(),
	}
}

// list has one replay on a page.
func (r *Replays) list(in struct{ EventSourceArn, NextToken string }) (any, error) {
	out := map[string]any{"Replays": []any{}}
	at, _ := strconv.Atoi(in.NextToken) // 0 without one
	for i := at; i < len(r.all); i++ {
		if r.all[i].EventSourceArn == in.EventSourceArn {
			out["Replays"] = []any{r.all[i].told()}
			if i+1 < len(r.all) {
				out["NextToken"] = strconv.Itoa(i + 1)
			}
			break
		}
	}
	return out, nil
}

func (r *Replays) describe(in struct{ ReplayName string }) (any, error) {
	if i := r.index(in.ReplayName); i >= 0 {
		return r.all[i].told(), nil
	}
	return nil, refused{"ResourceNotFoundException", "Replay " + in.ReplayName + " does not exist."}
}

func (r *Replays) cancel(in struct{ ReplayName string }) (any, error) {
	i := r.index(in.ReplayName)
	if i < 0 || r.all[i].state != "RUNNING" {
		return nil, refused{"IllegalStatusException", "Replay " + in.ReplayName + " is not in a valid state for this operation."}
	}
	r.all[i].state = "CANCELLED"
	return map[string]any{"State": "CANCELLING"}, nil
}
