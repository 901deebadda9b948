package cgroup

import (
	"os"
	"runtime"
	"syscall"
)

// OnThread runs f on a new operating system thread, which ends after f, and waits for f. What
// f changes of its thread (control groups, namespaces, credentials) is inherited by the
// processes that f starts, and never affects other goroutines.
func OnThread(f func()) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread()
		if syscall.Gettid() == os.Getpid() {
			// The main thread cannot end, so its changes would last: block it while another thread runs f.
			OnThread(f)
			runtime.UnlockOSThread()
			return
		}
		f() // the thread is not unlocked, so that it ends with this goroutine
	}()
	<-done
}
