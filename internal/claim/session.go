package claim

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/http"
	"strconv"
	"sync"
)

// A session serves one runner and remembers how far its claim has come.
type session struct {
	runner string
	ledger Ledger
	forge  Forge
	ca     string
	log    *sparing

	mu      sync.Mutex // held for a whole claim: claims are decided one by one
	permit  *Permit    // once granted
	refused *Refused   // once refused or spent

	reportMu sync.Mutex // held for a whole report: reports are taken in order
	reports  int        // accepted so far
}

// Handler returns the protocol for runner alone: the caller has been identified before. Its memory
// only saves questions to the ledger, which decides; so if no process lives as long as a runner,
// each call may get its own Handler. The ledger then has to serialize concurrent calls: it must not
// grant a claim again while another call may still be working on it.
func Handler(c Config, runner string) http.Handler { return newSession(c, runner).handler() }

func newSession(c Config, runner string) *session {
	return &session{runner: runner, ledger: c.Ledger, forge: c.Forge, ca: c.CA, log: &sparing{Logger: c.Log.With("runner", runner)}}
}

func (s *session) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST "+PathClaim, s.serveClaim)
	mux.HandleFunc("POST "+PathReport, s.serveReport)
	return http.MaxBytesHandler(mux, maxBody)
}

func (s *session) serveClaim(w http.ResponseWriter, r *http.Request) {
	// A caller that hangs up must not leave a half-finished claim.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), claimLimit)
	defer cancel()
	grant, err := s.claim(ctx)
	if err != nil {
		s.log.warn("claim not granted", "err", err)
		Refuse(w, err)
		return
	}
	s.log.Info("claim granted", "job", s.permit.Job)
	answer(w, http.StatusOK, grant)
}

// claim advances the claim as far as possible; see the package comment.
func (s *session) claim(ctx context.Context) (Grant, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.refused != nil {
		return Grant{}, s.refused
	}
	registration, err := s.register(ctx)
	if err != nil {
		errors.As(err, &s.refused) // a final refusal stays final
		return Grant{}, err
	}
	// From here on the configuration may be in the runner's hands, so no further claim is answered.
	s.refused = &Refused{"the claim of this runner is spent: it is answered once"}
	return Grant{
		Runner:     s.runner,
		JIT:        registration.JIT.Reveal(),
		Program:    registration.Program,
		IdleLimit:  s.permit.IdleLimit,
		TotalLimit: s.permit.TotalLimit,
		CA:         s.ca,
	}, nil
}

// register returns a registration that is recorded in the ledger.
func (s *session) register(ctx context.Context) (Registration, error) {
	if s.permit == nil {
		permit, err := s.ledger.Claim(ctx, s.runner)
		if err != nil {
			return Registration{}, err
		}
		s.permit = &permit
	}
	made, err := s.make(ctx)
	if later := (*Later)(nil); errors.As(err, &later) {
		if kept := s.ledger.PutOff(ctx, s.runner, *s.permit, later); kept != nil {
			s.log.warn("the grant of a claim that is put off was not given back: it ends by itself", "err", kept)
		}
	}
	if err != nil {
		return Registration{}, err
	}
	return made, s.ledger.Registered(ctx, s.runner, made.ID)
}

// make creates the registration, after removing one that an interrupted attempt has left.
func (s *session) make(ctx context.Context) (Registration, error) {
	made, err := s.forge.Register(ctx, *s.permit, s.runner)
	if !errors.Is(err, ErrTaken) {
		return made, err
	}
	s.log.Info("removing the registration of an attempt that was cut off", "job", s.permit.Job)
	if err := s.forge.Forget(ctx, *s.permit, s.runner); err != nil {
		return Registration{}, err
	}
	if made, err = s.forge.Register(ctx, *s.permit, s.runner); errors.Is(err, ErrTaken) {
		return Registration{}, &Later{Err: err} // somebody else's, which was not there to be removed
	}
	return made, err
}

func (s *session) serveReport(w http.ResponseWriter, r *http.Request) {
	var report Report
	err := json.NewDecoder(r.Body).Decode(&report)
	if err == nil {
		err = report.check()
	}
	if tooLarge := (*http.MaxBytesError)(nil); errors.As(err, &tooLarge) {
		answer(w, http.StatusRequestEntityTooLarge, Refusal{fmt.Sprintf("want at most %d bytes", tooLarge.Limit)})
		return
	} else if err != nil {
		answer(w, http.StatusBadRequest, Refusal{"reading the report: " + err.Error()})
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), reportLimit)
	defer cancel()
	s.report(ctx, w, report)
}

// report passes one report to the ledger and answers for it.
func (s *session) report(ctx context.Context, w http.ResponseWriter, r Report) {
	s.reportMu.Lock()
	defer s.reportMu.Unlock()
	if s.reports >= maxReports {
		Refuse(w, &Refused{fmt.Sprintf("want at most %d reports of one runner", maxReports)})
		return
	}
	switch err := s.ledger.Report(ctx, s.runner, r); {
	case err == nil:
		s.reports++
		w.WriteHeader(http.StatusNoContent)
	case errors.Is(err, ErrBusy):
		s.reports++
		answer(w, http.StatusConflict, Refusal{err.Error()})
	default:
		s.log.warn("report put off", "phase", r.Phase, "err", err)
		Refuse(w, err)
	}
}

func answer(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(v) // if the caller has hung up, the claim is spent nevertheless
}

// Refuse answers a call that failed with err: 403 for a *[Refused], and 503 with the time to retry
// for any other error. That error is only logged: it does not concern the container.
func Refuse(w http.ResponseWriter, err error) {
	if refused := (*Refused)(nil); errors.As(err, &refused) {
		answer(w, http.StatusForbidden, Refusal{refused.Reason})
		return
	}
	after := retryAfter
	if later := (*Later)(nil); errors.As(err, &later) && later.After > 0 {
		after = later.After
	}
	w.Header().Set("Retry-After", strconv.Itoa(int(math.Ceil(after.Seconds()))))
	answer(w, http.StatusServiceUnavailable, Refusal{"not now"})
}
