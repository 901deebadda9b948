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

// A door answers one runner, and remembers how far its claim has come.
type door struct {
	runner string
	ledger Ledger
	forge  Forge
	log    *sparing

	mu      sync.Mutex // held for a whole claim: they are decided one by one
	permit  *Permit    // when granted
	refused *Refused   // when refused or spent

	reportMu sync.Mutex // held for a whole report: they are taken in order
	reports  int        // taken so far
}

// Handler returns the protocol's side of runner alone: who asks is known before it
// is called. Its memory only spares questions, to the ledger that decides; so
// where no process lives as long as a runner, each call may be given a Handler of its own.
// Of such calls the ledger has to hold apart those that come at once: it must not
// grant a claim again while another call may still be at it.
func Handler(c Config, runner string) http.Handler { return newDoor(c, runner).handler() }

func newDoor(c Config, runner string) *door {
	return &door{runner: runner, ledger: c.Ledger, forge: c.Forge, log: &sparing{Logger: c.Log.With("runner", runner)}}
}

func (d *door) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST "+PathClaim, d.serveClaim)
	mux.HandleFunc("POST "+PathReport, d.serveReport)
	return http.MaxBytesHandler(mux, maxBody)
}

func (d *door) serveClaim(w http.ResponseWriter, r *http.Request) {
	// A caller that hangs up must not leave a claim half done.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), claimLimit)
	defer cancel()
	grant, err := d.claim(ctx)
	if err != nil {
		d.log.warn("claim not granted", "err", err)
		Refuse(w, err)
		return
	}
	d.log.Info("claim granted", "job", d.permit.Job)
	answer(w, http.StatusOK, grant)
}

// claim takes the claim as far as it goes; see the package's comment.
func (d *door) claim(ctx context.Context) (Grant, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.refused != nil {
		return Grant{}, d.refused
	}
	registration, err := d.register(ctx)
	if err != nil {
		errors.As(err, &d.refused) // a final no stays one
		return Grant{}, err
	}
	d.refused = &Refused{"the claim of this runner is spent: it is answered once"}
	return Grant{
		Runner:     d.runner,
		JIT:        registration.JIT.Reveal(),
		Program:    registration.Program,
		IdleLimit:  d.permit.IdleLimit,
		TotalLimit: d.permit.TotalLimit,
	}, nil
}

// register returns a registration that the ledger knows of.
func (d *door) register(ctx context.Context) (Registration, error) {
	if d.permit == nil {
		permit, err := d.ledger.Claim(ctx, d.runner)
		if err != nil {
			return Registration{}, err
		}
		d.permit = &permit
	}
	made, err := d.make(ctx)
	if later := (*Later)(nil); errors.As(err, &later) {
		if kept := d.ledger.PutOff(ctx, d.runner, *d.permit, later.After); kept != nil {
			d.log.warn("the grant of a claim that is put off was not given back: it ends by itself", "err", kept)
		}
	}
	if err != nil {
		return Registration{}, err
	}
	return made, d.ledger.Registered(ctx, d.runner, made.ID)
}

// make has the forge make the registration, in place of one that an attempt has left
// which was cut off.
func (d *door) make(ctx context.Context) (Registration, error) {
	made, err := d.forge.Register(ctx, *d.permit, d.runner)
	if !errors.Is(err, ErrTaken) {
		return made, err
	}
	d.log.Info("removing the registration of an attempt that was cut off", "job", d.permit.Job)
	if err := d.forge.Forget(ctx, *d.permit, d.runner); err != nil {
		return Registration{}, err
	}
	return d.forge.Register(ctx, *d.permit, d.runner)
}

func (d *door) serveReport(w http.ResponseWriter, r *http.Request) {
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
	d.report(ctx, w, report)
}

// report passes one report on and answers for the ledger.
func (d *door) report(ctx context.Context, w http.ResponseWriter, r Report) {
	d.reportMu.Lock()
	defer d.reportMu.Unlock()
	if d.reports >= maxReports {
		Refuse(w, &Refused{fmt.Sprintf("want at most %d reports of one runner", maxReports)})
		return
	}
	switch err := d.ledger.Report(ctx, d.runner, r); {
	case err == nil:
		d.reports++
		w.WriteHeader(http.StatusNoContent)
	case errors.Is(err, ErrBusy):
		d.reports++
		answer(w, http.StatusConflict, Refusal{err.Error()})
	default:
		d.log.warn("report put off", "phase", r.Phase, "err", err)
		Refuse(w, err)
	}
}

func answer(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(v) // the caller has hung up or not: a claim is spent either way
}

// Refuse answers a call that err keeps from being served: 403 for a *[Refused], and
// for any other 503, that the same may be tried again, and when. What went wrong then is
// for the log: it is not the container's business.
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
