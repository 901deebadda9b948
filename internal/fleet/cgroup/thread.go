package cgroup

import (
	"os"
	"runtime"
	"syscall"
)

// OnThread runs f on an operating system thread of its own that ends after f, and
// waits for f. What f does to its thread (control groups, namespaces, credentials)
// is passed on to the processes f starts and is lost with the thread.
func OnThread(f func()) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread()
		if syscall.Gettid() == os.Getpid() {
			// The main thread cannot end: hold it while another one does the work.
			OnThread(f)
			runtime.UnlockOSThread()
			return
		}
		f() // never unlocked, so the thread ends with this goroutine
	}()
	<-done
}
