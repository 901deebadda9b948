package web_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"testing"
	"time"
)

// BenchmarkPages measures how long pages take with 100,000 jobs and 1,000,000 events: the 99th
// percentile is to be below 50 ms.
func BenchmarkPages(b *testing.B) {
	w := open(b, here())
	w.fill(b, 100_000, 10)
	w.images(b)
	deep := func(i int) string { return fmt.Sprintf("/%d/1", 1000+(i*7919)%100_000/4*4) }
	for _, page := range []struct {
		name string
		path func(i int) string
	}{
		{"overview", at("/")},
		{"jobs", at("/jobs")},
		{"jobs-deep", func(i int) string { return "/jobs?after=acme/web" + deep(i) }},
		{"jobs-repository", func(i int) string { return "/jobs?repository=widgets/app&after=acme/web" + deep(i) }},
		{"jobs-failed", at("/jobs?state=failure&pool=small")},
		{"jobs-none", at("/jobs?q=there-is-no-such-job&repository=acme/")},
		{"job", func(i int) string { return "/jobs/acme/web" + deep(i) }},
		{"pools", at("/pools")},
		{"runners", at("/runners?all=1")},
		{"events", at("/events")},
		{"events-deep", func(i int) string { return fmt.Sprint("/events?before=", 100+(i*104_729)%999_000) }},
		{"events-pattern", at("/events?pattern=" + url.QueryEscape(`{"detail":{"workflow_job":{"name":["there is none"]}}}`))},
		{"events-type", at("/events?type=ping")},
		{"letters", at("/letters")},
		{"image", at("/image")},
	} {
		b.Run(page.name, func(b *testing.B) {
			var took []time.Duration
			for i := 0; b.Loop(); i++ {
				begun := time.Now()
				r := httptest.NewRequest(http.MethodGet, "http://127.0.0.1"+page.path(i), nil)
				out := httptest.NewRecorder()
				w.page.ServeHTTP(out, r)
				if took = append(took, time.Since(begun)); out.Code != http.StatusOK {
					b.Fatalf("%s: %d %.300s", r.URL, out.Code, out.Body)
				}
			}
			slices.Sort(took)
			b.ReportMetric(took[len(took)/2].Seconds()*1000, "p50-ms")
			b.ReportMetric(took[len(took)*99/100].Seconds()*1000, "p99-ms")
		})
	}
}

func at(path string) func(int) string { return func(int) string { return path } }
