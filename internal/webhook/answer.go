package webhook

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/mayfly-ci/mayfly/internal/event"
)

// An outcome is why a delivery was answered with 2xx.
type outcome int

const (
	accepted    outcome = iota // stored on the bus
	duplicate                  // known on the bus
	ignored                    // of a type that is not forwarded
	quarantined                // stored, but cannot be routed
	outcomes                   // number of outcomes
)

// An answer is the body of a 2xx. GitHub shows it next to the delivery.
type answer struct {
	outcome outcome
	Event   string `json:"event"`          // its id on the bus
	Pool    string `json:"pool,omitempty"` // the job's pool
	Note    string `json:"note,omitempty"` // anything unusual
}

func (a answer) write(w http.ResponseWriter) {
	status := http.StatusOK
	if a.outcome == accepted || a.outcome == quarantined {
		status = http.StatusAccepted
	}
	writeJSON(w, status, a)
}

// A reason is why a delivery was refused.
type reason int

const (
	method reason = iota
	unsigned
	large
	busy
	slow
	mediaType
	malformed
	full
	unkept
	reasons // number of reasons
)

// meanings is the one table of each reason's name in counters and logs, its status and its hint.
var meanings = [reasons]struct {
	name   string
	status int
	hint   string
}{
	method:    {"method", http.StatusMethodNotAllowed, ""},
	unsigned:  {"signature", http.StatusUnauthorized, "give the webhook the secret that mayfly has (webhook.secrets in mayfly.yaml); SHA-1 signatures are not accepted"},
	large:     {"size", http.StatusRequestEntityTooLarge, "raise webhook.max_body in mayfly.yaml (on AWS an event is less than 1 MB, whatever it says), or send fewer event types"},
	busy:      {"busy", http.StatusServiceUnavailable, "redeliver it later"},
	slow:      {"slow", http.StatusRequestTimeout, "send a body at once: GitHub itself gives up after 10 seconds"},
	mediaType: {"content type", http.StatusUnsupportedMediaType, "set the webhook's content type to application/json: form-encoded webhooks must be changed"},
	malformed: {"malformed", http.StatusBadRequest, "want a webhook of GitHub, or of what sends the same"},
	full:      {"disk full", http.StatusServiceUnavailable, "make room where mayfly keeps its state; what was refused can be redelivered"},
	unkept:    {"not kept", http.StatusServiceUnavailable, "mayfly's log says more; what was refused can be redelivered"},
}

// retryAfter is the Retry-After of a 503, in seconds.
const retryAfter = "10"

// A refusal is why a delivery is not answered with 2xx.
type refusal struct {
	reason reason
	detail string // includes the faulty value; shown to the sender, unless the fault is ours
}

func refuse(r reason, detail string) *refusal { return &refusal{r, event.Clip(detail, event.MaxSaid)} }

func (no *refusal) write(w http.ResponseWriter) {
	meaning := meanings[no.reason]
	switch meaning.status {
	case http.StatusMethodNotAllowed:
		w.Header().Set("Allow", http.MethodPost)
	case http.StatusServiceUnavailable:
		w.Header().Set("Retry-After", retryAfter)
	}
	body := struct {
		Error string `json:"error"`
		Hint  string `json:"hint,omitempty"`
	}{no.detail, meaning.hint}
	if no.ours() {
		body.Error = "the delivery could not be kept: " + meaning.name
	}
	writeJSON(w, meaning.status, body)
}

// ours reports whether the fault is on this side, so that people here should see the detail and
// strangers should not.
func (no *refusal) ours() bool { return no.reason == full || no.reason == unkept }

// writeJSON writes body. If the answer does not arrive, GitHub shows the delivery as failed, and it
// is redelivered.
func writeJSON(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body)
}

// Counts are the numbers of answers since the handler was created.
type Counts struct {
	Received    int64            `json:"received"`
	Accepted    int64            `json:"accepted"`
	Duplicate   int64            `json:"duplicate"`
	Ignored     int64            `json:"ignored"`     // of a type that is not forwarded
	Quarantined int64            `json:"quarantined"` // could not be routed
	Refused     map[string]int64 `json:"refused"`     // by reason; has every reason
}

// tally counts answers.
type tally struct {
	received atomic.Int64
	outcomes [outcomes]atomic.Int64
	refusals [reasons]odd
	strange  odd // quarantined deliveries
}

// odd counts deliveries that are logged from time to time.
type odd struct {
	count  atomic.Int64
	logged atomic.Int64 // when the last one was logged, Unix nanoseconds
}

// next counts one more, and reports whether to log it: strangers and a full disk must not fill the
// log.
func (o *odd) next(now time.Time) (count int64, log bool) {
	count, last := o.count.Add(1), o.logged.Load()
	recent := last != 0 && now.UnixNano()-last < int64(logEvery)
	return count, !recent && o.logged.CompareAndSwap(last, now.UnixNano())
}

// answered counts an answer, and logs one that people should look at.
func (h *Handler) answered(a answer, r *http.Request) {
	h.tally.outcomes[a.outcome].Add(1)
	if a.outcome != quarantined {
		return
	}
	if count, log := h.tally.strange.next(h.c.Now()); log {
		h.c.Log.WarnContext(r.Context(), "delivery in quarantine", "delivery", a.Event, "note", a.Note, "so_far", count)
	}
}

// Counts returns the numbers of answers so far.
func (h *Handler) Counts() Counts {
	t := &h.tally
	c := Counts{
		Received: t.received.Load(), Accepted: t.outcomes[accepted].Load(),
		Duplicate: t.outcomes[duplicate].Load(), Ignored: t.outcomes[ignored].Load(),
		Quarantined: t.outcomes[quarantined].Load(), Refused: make(map[string]int64, reasons),
	}
	for r := range t.refusals {
		c.Refused[meanings[r].name] = t.refusals[r].count.Load()
	}
	return c
}

// logEvery is the shortest time between two log lines of a kind.
const logEvery = time.Minute

// refused counts a refusal, and logs it unless one for the same reason was logged within the last
// minute.
func (h *Handler) refused(no *refusal, r *http.Request) {
	count, log := h.tally.refusals[no.reason].next(h.c.Now())
	if !log {
		return
	}
	level := slog.LevelWarn
	if no.ours() {
		level = slog.LevelError
	}
	h.c.Log.Log(r.Context(), level, "delivery refused", "reason", meanings[no.reason].name, "err", no.detail,
		"delivery", fmt.Sprintf("%.80s", r.Header.Get("X-GitHub-Delivery")), "from", r.RemoteAddr, "so_far", count)
}
