package web

import (
	"context"
	"fmt"
	"math"
	"strings"
	"sync"
	"time"

	"github.com/mayfly-ci/mayfly/internal/inspect"
)

// useFor is how long one reading of how pools were used serves all who look: it reads many jobs.
const useFor = 10 * time.Second

// lastUse is the last such reading.
type lastUse struct {
	mu  sync.Mutex
	use inspect.Use // guarded by mu
	at  time.Time   // guarded by mu
}

func (l *lastUse) read(ctx context.Context, s *inspect.Source, now time.Time) (inspect.Use, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.at.IsZero() && now.Sub(l.at) < useFor {
		return l.use, nil
	}
	use, err := s.Use(ctx, now)
	if err == nil {
		l.use, l.at = use, now
	}
	return use, err
}

// A poolStory is a pool on the page of pools.
type poolStory struct {
	inspect.Pool
	Use   inspect.PoolUse
	Chart chart
}

// A poolList is what the page of pools shows.
type poolList struct {
	Pools   []poolStory
	Unknown bool // what limits are in force
}

func (p *Page) pools(r *request) (view, error) {
	status, err := p.status(r.Context(), r.Source, r.now)
	if err != nil {
		return view{}, err
	}
	use, err := p.use.read(r.Context(), r.Source, r.now)
	if err != nil {
		return view{}, err
	}
	l := poolList{Unknown: status.Unknown}
	for _, one := range status.Pools {
		s := poolStory{Pool: one}
		for _, u := range use.Pools {
			if u.Pool == one.Pool {
				s.Use, s.Chart = u, chartOf(u, use, one.Max)
			}
		}
		l.Pools = append(l.Pools, s)
	}
	return view{Name: "pools", Title: "Pools", Place: "/pools", Live: true, Data: l}, nil
}

// A chart draws how many jobs a pool ran over time.
type chart struct {
	Area, Edge string // paths
	Limit      float64
	Max        int
	Top        string // the value at the top
	From       string
	Words      string
}

const (
	chartLeft, chartWide, chartHigh = 30.0, 690.0, 110.0
	chartTop                        = 12.0
)

func chartOf(u inspect.PoolUse, all inspect.Use, most int) chart {
	peak := 1.0
	for _, n := range u.Busy {
		peak = max(peak, math.Ceil(n))
	}
	if most > 0 && float64(most) <= 3*peak { // else the limit would press the curve flat
		peak = max(peak, float64(most))
	}
	y := func(n float64) float64 { return chartTop + chartHigh*(1-n/peak) }
	var edge strings.Builder
	step := chartWide / float64(len(u.Busy))
	for i, n := range u.Busy {
		verb := "L"
		if i == 0 {
			verb = "M"
		}
		fmt.Fprintf(&edge, "%s%.1f %.1fH%.1f", verb, chartLeft+step*float64(i), y(n), chartLeft+step*float64(i+1))
	}
	c := chart{Edge: edge.String(), Top: fmt.Sprintf("%.0f", peak), From: all.Since.Local().Format("2 Jan 15:04")}
	c.Area = fmt.Sprintf("%sV%.1fH%.1fZ", c.Edge, chartTop+chartHigh, chartLeft)
	if most > 0 && float64(most) <= peak {
		c.Limit, c.Max = y(float64(most)), most
	}
	c.Words = fmt.Sprintf("jobs at once in pool %s since %s: at most %s", u.Pool, c.From, c.Top)
	return c
}
