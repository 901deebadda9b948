package webhook_test

import (
	"fmt"
	"net/http/httptest"
	"sync/atomic"
	"testing"
)

// BenchmarkDelivery measures a delivery of real size, without the network and
// without a disk: what the handler itself takes of a processor.
func BenchmarkDelivery(b *testing.B) {
	body := sample(b, "workflow_job-queued-6.json")
	signature := sign(key, body)
	var id atomic.Int64
	h, bus := newHandler(b, nil)
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	for b.Loop() {
		r := delivery("mayfly.example.com", "workflow_job", fmt.Sprint(id.Add(1)), body)
		r.Header.Set("X-Hub-Signature-256", signature)
		w := httptest.NewRecorder()
		if h.ServeHTTP(w, r); w.Code != 202 {
			b.Fatal(w.Code, w.Body)
		}
		clear(bus.kept)
	}
}
