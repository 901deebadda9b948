package disk_test

import (
	"context"
	"crypto/rand"
	"fmt"
	"path/filepath"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/mayfly-ci/mayfly/internal/disk"
)

// BenchmarkWrite stores rows of 7 KB, the size of a workflow_job delivery, from
// many goroutines at once. With one goroutine each row has a transaction and
// an fsync of its own: the price without group commit.
func BenchmarkWrite(b *testing.B) {
	row := make([]byte, 7000)
	rand.Read(row)
	for _, n := range []int{1, 8, 32, 256} {
		b.Run(fmt.Sprintf("goroutines=%d", n), func(b *testing.B) {
			db := open(b, filepath.Join(b.TempDir(), "db"), disk.Options{})
			before := cpu(b)
			var key atomic.Int64
			b.SetParallelism((n + 1) / 2) // times GOMAXPROCS, which is 2 where this is measured
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					err := db.Write(context.Background(), func(tx *disk.Tx) error {
						_, err := tx.Exec(`INSERT INTO t (k, v) VALUES (?, ?)`, fmt.Sprintf("%d-%d", key.Add(1)*7919%1000, key.Load()), row)
						return err
					})
					if err != nil {
						b.Error(err)
						return
					}
				}
			})
			b.ReportMetric(float64((cpu(b)-before).Microseconds())/float64(b.N), "cpu-µs/op")
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "writes/s")
		})
	}
}

// cpu is the processor time this process has used.
func cpu(b *testing.B) time.Duration {
	var r syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &r); err != nil {
		b.Fatal(err)
	}
	return time.Duration(r.Utime.Nano() + r.Stime.Nano())
}
