// Package runtimeapi stands for Lambda: it runs a function's program and hands it
// what it is called with, over Lambda's own runtime API. Tests and mayfly-bench
// use it, so that what they run is the program that is deployed.
//
// https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html
package runtimeapi

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"time"
)

// Config is what a [Function] is made of.
type Config struct {
	Program string        // path of its bootstrap
	Env     []string      // its whole environment, besides what Lambda says of itself
	Log     io.Writer     // what it prints
	Timeout time.Duration // of one call; 0 means Lambda's longest, 15 min
}

// A Function is one instance of a function, as Lambda has it: a process that starts
// with the first call and is called again and again, one call at a time. When it has
// ended, the next call starts another.
type Function struct {
	config Config
	server *http.Server
	host   string // of the runtime API

	calls sync.Mutex // held for a whole call

	mu      sync.Mutex
	process *process
	current *call
	count   int
	pending chan *call
}

// A process is one run of the program.
type process struct {
	cmd   *exec.Cmd
	ended chan struct{} // closed when it has ended, err being set
	err   error
}

type call struct {
	id      string
	payload []byte
	answer  chan answer // gets one
}

type answer struct {
	body []byte
	err  error
}

// New returns a Function of which nothing runs yet.
func New(c Config) (*Function, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	if c.Timeout == 0 {
		c.Timeout = 15 * time.Minute
	}
	f := &Function{config: c, host: l.Addr().String(), pending: make(chan *call)}
	mux := http.NewServeMux()
	const api = "/2018-06-01/runtime"
	mux.HandleFunc("GET "+api+"/invocation/next", f.next)
	mux.HandleFunc("POST "+api+"/invocation/{id}/response", f.take(false))
	mux.HandleFunc("POST "+api+"/invocation/{id}/error", f.take(true))
	mux.HandleFunc("POST "+api+"/init/error", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusAccepted) })
	f.server = &http.Server{Handler: mux, ReadHeaderTimeout: time.Minute}
	go f.server.Serve(l) // until Close
	return f, nil
}

// Close ends the process and the API.
func (f *Function) Close() error {
	f.mu.Lock()
	p := f.process
	f.mu.Unlock()
	if p != nil {
		_ = p.cmd.Process.Kill() // it may have ended by itself
		<-p.ended
	}
	return f.server.Close()
}

// Invoke calls the function and returns its answer; an error when the function
// returned one, or ended. A function that is not done when ctx ends is killed, as Lambda
// does at a function's timeout.
func (f *Function) Invoke(ctx context.Context, payload []byte) ([]byte, error) {
	f.calls.Lock()
	defer f.calls.Unlock()
	ctx, cancel := context.WithTimeoutCause(ctx, f.config.Timeout, errors.New("the function timed out"))
	defer cancel()
	c, p, err := f.begin(payload)
	if err != nil {
		return nil, err
	}
	stop := context.AfterFunc(ctx, func() { _ = p.cmd.Process.Kill() }) // it may have ended by itself
	defer stop()
	select {
	case f.pending <- c:
	case <-p.ended:
		return nil, fmt.Errorf("the function ended before it took the call: %w", errors.Join(p.err, context.Cause(ctx)))
	}
	select {
	case a := <-c.answer:
		return a.body, a.err
	case <-p.ended:
		return nil, fmt.Errorf("the function ended in the middle of the call: %w", errors.Join(p.err, context.Cause(ctx)))
	}
}

// begin returns a call for the process, which it starts when none runs.
func (f *Function) begin(payload []byte) (*call, *process, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.process != nil {
		select {
		case <-f.process.ended:
			f.process = nil
		default:
		}
	}
	if f.process == nil {
		if err := f.start(); err != nil {
			return nil, nil, err
		}
	}
	f.count++
	f.current = &call{id: strconv.Itoa(f.count), payload: payload, answer: make(chan answer, 1)}
	return f.current, f.process, nil
}

func (f *Function) start() error {
	cmd := exec.Command(f.config.Program)
	cmd.Dir = filepath.Dir(f.config.Program)
	cmd.Env = append([]string{"AWS_LAMBDA_RUNTIME_API=" + f.host, "LAMBDA_TASK_ROOT=" + cmd.Dir, "_HANDLER=bootstrap"}, f.config.Env...)
	cmd.Stdout, cmd.Stderr = f.config.Log, f.config.Log
	if err := cmd.Start(); err != nil {
		return err
	}
	p := &process{cmd: cmd, ended: make(chan struct{})}
	f.process = p
	go func() {
		if p.err = cmd.Wait(); p.err == nil {
			p.err = errors.New("exit status 0")
		}
		close(p.ended)
	}()
	return nil
}

// next gives the program its next call, when there is one.
func (f *Function) next(w http.ResponseWriter, r *http.Request) {
	select {
	case c := <-f.pending:
		w.Header().Set("Lambda-Runtime-Aws-Request-Id", c.id)
		w.Header().Set("Lambda-Runtime-Deadline-Ms", strconv.FormatInt(time.Now().Add(f.config.Timeout).UnixMilli(), 10))
		w.Header().Set("Lambda-Runtime-Invoked-Function-Arn", "arn:aws:lambda:eu-west-1:123456789012:function:test")
		w.Header().Set("Content-Type", "application/json")
		w.Write(c.payload) // a program that has ended ends the call, too
	case <-r.Context().Done():
	}
}

// take takes the program's answer to a call.
func (f *Function) take(failed bool) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err == nil && failed {
			err = fmt.Errorf("the function failed: %s", body)
		}
		f.mu.Lock()
		c := f.current
		f.mu.Unlock()
		if c == nil || c.id != r.PathValue("id") {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		c.answer <- answer{body, err}
		w.WriteHeader(http.StatusAccepted)
	}
}
