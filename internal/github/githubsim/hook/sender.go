package hook

import (
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	randv2 "math/rand/v2"
	"net/http"
	"slices"
	"sync"
	"time"
)

// A Settings is what a Sender needs.
type Settings struct {
	Log     *slog.Logger
	Now     func() time.Time
	NextID  func() int64  // gives hooks and deliveries their ids
	Seed    uint64        // of the faults
	Timeout time.Duration // of one delivery; GitHub waits 10 s
	Workers int           // deliveries under way at once
	Keep    int           // deliveries kept per hook; older ones are forgotten
}

// A Sender keeps webhooks and delivers what is published to them, a few at once
// and so in no strict order, as GitHub does. It never delivers again by itself. An
// attempt without any answer is recorded with code 502 as "failed to connect to
// host", or 504 as "timed out". Its methods may be called at once.
type Sender struct {
	set    Settings
	client *http.Client
	cancel context.CancelFunc
	ctx    context.Context
	done   sync.WaitGroup

	mu     sync.Mutex
	change sync.Cond             // on mu: the queue grew, or something was done
	closed bool                  // mu
	hooks  map[int64]*Hook       // mu
	record map[int64][]*Delivery // mu; by hook, oldest first
	queue  []*attempt            // mu
	open   int                   // mu; attempts not yet ended, with those that wait for their time
	faults Faults                // mu
	rng    *randv2.Rand          // mu
	held   *attempt              // mu; waits for another to overtake it
	timers []*time.Timer         // mu; of delayed attempts
}

// An attempt is a delivery on its way.
type attempt struct {
	hook       Hook
	event      Event
	guid       string
	redelivery bool
	fate       fate
	body       []byte // of a redelivery: the same bytes again
}

// New returns a Sender at work; Close ends it.
func New(set Settings) *Sender {
	ctx, cancel := context.WithCancel(context.Background())
	s := &Sender{
		set: set, ctx: ctx, cancel: cancel,
		client: &http.Client{Timeout: set.Timeout, Transport: &http.Transport{MaxIdleConnsPerHost: set.Workers}, CheckRedirect: noRedirect},
		hooks:  map[int64]*Hook{}, record: map[int64][]*Delivery{},
		rng: randv2.New(randv2.NewPCG(set.Seed, 1)),
	}
	s.change.L = &s.mu
	for range set.Workers {
		s.done.Go(s.work)
	}
	return s
}

// noRedirect: GitHub takes a redirect for an answer.
func noRedirect(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }

// Close stops deliveries, cuts those under way and waits for them.
func (s *Sender) Close() {
	s.mu.Lock()
	s.closed = true
	for _, t := range s.timers {
		t.Stop()
	}
	s.change.Broadcast()
	s.mu.Unlock()
	s.cancel()
	s.done.Wait()
	s.client.CloseIdleConnections()
}

// Publish delivers e to every hook of targets that wants it.
func (s *Sender) Publish(e Event, targets ...Target) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, id := range sortedIDs(s.hooks) {
		if h := s.hooks[id]; slices.Contains(targets, h.Target) && h.wants(e.Name) {
			s.send(&attempt{hook: *h, event: e, guid: guid()})
		}
	}
}

// Ping delivers e, a ping, to hook only.
func (s *Sender) Ping(hook int64, e Event) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if h := s.hooks[hook]; h != nil {
		s.send(&attempt{hook: *h, event: e, guid: guid()})
	}
}

// Redeliver makes another attempt at a delivery of hook, with the same GUID and a
// new id, and reports whether there is such a delivery of the last three days. Where it goes and how it is
// signed is the hook's of now. No fault strikes it.
func (s *Sender) Redeliver(hook, delivery int64) bool {
	d, ok := s.Delivery(hook, delivery)
	if !ok {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	h := s.hooks[hook]
	if h == nil {
		return false
	}
	s.enqueue(&attempt{hook: *h, event: d.Event, guid: d.GUID, redelivery: true, body: d.Body})
	return true
}

// Wait blocks until every delivery has ended, also those delayed, or ctx is done.
func (s *Sender) Wait(ctx context.Context) error {
	stop := context.AfterFunc(ctx, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.change.Broadcast()
	})
	defer stop()
	s.mu.Lock()
	defer s.mu.Unlock()
	for s.open > 0 && ctx.Err() == nil && !s.closed {
		s.release()
		s.change.Wait()
	}
	return ctx.Err()
}

// enqueue hands a to the workers. The caller holds mu.
func (s *Sender) enqueue(a *attempt) {
	s.open++
	s.queue = append(s.queue, a)
	s.change.Broadcast()
}

func (s *Sender) work() {
	for {
		s.mu.Lock()
		for len(s.queue) == 0 && !s.closed {
			s.change.Wait()
		}
		if s.closed {
			s.mu.Unlock()
			return
		}
		a := s.queue[0]
		s.queue = s.queue[1:]
		s.mu.Unlock()
		d := s.deliver(a)
		s.mu.Lock()
		s.keep(a, d)
		s.open--
		s.change.Broadcast()
		s.mu.Unlock()
	}
}

// keep records d. The caller holds mu.
func (s *Sender) keep(a *attempt, d *Delivery) {
	if a.fate.vanish || s.hooks[a.hook.ID] == nil {
		return
	}
	list := append(s.record[a.hook.ID], d)
	if over := len(list) - s.set.Keep; over > 0 {
		list = slices.Clone(list[over:])
	}
	s.record[a.hook.ID] = list
	h := s.hooks[a.hook.ID]
	h.LastCode, h.LastMessage = d.Code, d.Status
}

func guid() string {
	var b [16]byte
	rand.Read(b[:])
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80 // a random UUID
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}

func sortedIDs[T any](m map[int64]T) []int64 {
	ids := make([]int64, 0, len(m))
	for id := range m {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	return ids
}
