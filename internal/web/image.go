package web

import (
	"errors"
	"fmt"
	"time"

	"github.com/mayfly-ci/mayfly/internal/eventlog"
	"github.com/mayfly-ci/mayfly/internal/image"
	"github.com/mayfly-ci/mayfly/internal/inspect"
)

// An imageStory is what the page of images shows.
type imageStory struct {
	*inspect.Images
	Previous *image.Image // to which a rollback leads; nil where there is none
	Road     []station
	Days     string // how long the current version is accepted
	Now      time.Time
}

func (p *Page) images(r *request) (view, error) {
	v, err := r.ReadImages(r.Context(), r.now)
	if err != nil {
		return view{}, err
	}
	catalog, err := r.Images(r.Context())
	if err != nil {
		return view{}, err
	}
	status, err := p.status(r.Context(), r.Source, r.now)
	if err != nil {
		return view{}, err
	}
	s := imageStory{Images: v, Road: roadOf(status, r.now), Now: r.now}
	if before, some := catalog.Previous(); some {
		s.Previous = &before
	}
	if v.Runway != nil {
		s.Days = image.Days(v.Runway.End.Sub(r.now))
	}
	return view{Name: "image", Title: "Image", Place: "/image", Live: true, Data: s}, nil
}

// promote makes an image the current one.
func (p *Page) promote(r *request) (string, error) {
	digest := image.Digest(r.PostFormValue("digest"))
	return p.order(r, image.Order{Promote: &image.Promote{Digest: digest}})
}

// rollback makes the image before the current one.
func (p *Page) rollback(r *request) (string, error) {
	return p.order(r, image.Order{Rollback: &image.Rollback{Reason: "rolled back on the page"}})
}

func (p *Page) order(r *request, o image.Order) (string, error) {
	if p.config.Order == nil {
		return "", errors.New("this page cannot change images: use mayfly image")
	}
	current, err := p.config.Order(r.Context(), o)
	return fmt.Sprintf("Current is %s: the next runners start from it.", current.Short()), err
}

// errNone is the answer to an action that found nothing to act on.
var errNone = errors.New("it is not there any longer: somebody else may have acted on it")

// changed says what came of an action on a list.
func changed(n int, what, done string, err error) (string, error) {
	if err == nil && n == 0 {
		err = errNone
	}
	return plural(n, what+" was "+done+".", what+"s were "+done+"."), err
}

func (p *Page) retryLetters(r *request) (string, error) {
	n, err := r.Letters.Retry(r.Context(), letterOf(r))
	return changed(n, "dead letter", "put back for delivery", err)
}

func (p *Page) dropLetters(r *request) (string, error) {
	n, err := r.Letters.Drop(r.Context(), letterOf(r))
	return changed(n, "dead letter", "dropped", err)
}

// letterOf picks the dead letters of a form: those of an event, or all.
func letterOf(r *request) eventlog.LetterFilter {
	if id := r.PostFormValue("event"); id != "" {
		return eventlog.LetterFilter{Events: []string{id}, Rule: r.PostFormValue("rule")}
	}
	return eventlog.LetterFilter{}
}

func (p *Page) releaseHeld(r *request) (string, error) {
	released, err := r.Quarantine.Release(r.Context(), heldOf(r))
	if err == nil && released.Held > 0 {
		err = fmt.Errorf("%s still cannot be routed", plural(released.Held, "delivery", "deliveries"))
	}
	return changed(released.Released, "delivery", "released", err)
}

func (p *Page) dropHeld(r *request) (string, error) {
	n, err := r.Quarantine.Drop(r.Context(), heldOf(r))
	return changed(n, "delivery", "dropped", err)
}

func heldOf(r *request) eventlog.QuarantineFilter {
	if id := r.PostFormValue("event"); id != "" {
		return eventlog.QuarantineFilter{Events: []string{id}}
	}
	return eventlog.QuarantineFilter{}
}
