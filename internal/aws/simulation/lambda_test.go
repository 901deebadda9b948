package simulation

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"

	"github.com/mayfly-ci/mayfly/internal/aws/awstest"
	"github.com/mayfly-ci/mayfly/internal/aws/contract"
	"github.com/mayfly-ci/mayfly/internal/aws/delivery"
	"github.com/mayfly-ci/mayfly/internal/aws/entry"
	"github.com/mayfly-ci/mayfly/internal/aws/function"
)

// Lambdas are the functions of an account.
type lambdas struct {
	*world
	functions map[string]*lambdaFunction // by logical id
	running   int                        // of those without reserved concurrency; mu
	unbound   int                        // how many may run of them
	peak      int                        // most of all functions at once; mu
	total     int                        // that run; mu
}

// A lambdaFunction is one of the template.
type lambdaFunction struct {
	*world
	id, handler string
	memory      int
	timeout     time.Duration
	reserved    int // -1 for none
	letters     string
	open        func(context.Context, function.Place) (any, error)
	place       function.Place

	idle    []*environment // mu, as all below
	running int
	peak    int
	counts  invocations
}

// Invocations are what became of a function's calls.
type invocations struct {
	calls, colds, throttled, failed, timedOut int
	billed                                    time.Duration
}

// An environment is a process of a function. It serves one call at a time.
type environment struct {
	handler lambda.Handler
	used    time.Time
}

func openFunctions(w *world) *lambdas {
	l := &lambdas{world: w, functions: map[string]*lambdaFunction{}, unbound: accountConcurrency}
	if w.account > 0 {
		l.unbound = w.account
	}
	for _, id := range w.stack.Of("AWS::Lambda::Function") {
		f := w.newFunction(id)
		l.functions[id] = f
		l.unbound -= max(f.reserved, 0)
	}
	return l
}

func (w *world) newFunction(id string) *lambdaFunction {
	var p struct {
		MemorySize, Timeout          int
		ReservedConcurrentExecutions *int
		DeadLetterConfig             struct{ TargetArn string }
	}
	w.stack.Read(id, &p)
	env := w.stack.Environment(id)
	f := &lambdaFunction{world: w, id: id, handler: env[contract.EnvHandler], memory: p.MemorySize, timeout: time.Duration(p.Timeout) * time.Second, reserved: -1}
	if p.ReservedConcurrentExecutions != nil {
		f.reserved = *p.ReservedConcurrentExecutions
	}
	f.letters = resource(p.DeadLetterConfig.TargetArn)
	f.open = entry.Open
	if f.handler == contract.HandlerWebhook {
		f.open = delivery.Open
	}
	f.place = function.Place{
		Settings: w.settings(), Getenv: func(name string) string { return env[name] }, Log: slog.New(slog.DiscardHandler), Metrics: io.Discard, GitHub: w.github,
		AWS: aws.Config{Region: awstest.Region, Credentials: credentials.NewStaticCredentialsProvider("id", "key", ""), HTTPClient: caller{f}},
	}
	return f
}

// resource returns the logical id in what an ARN or an address is here.
func resource(arn string) string { return strings.TrimSuffix(arn, ".Arn") }

// compute takes as long as the function needs for what a whole processor does in d.
// https://docs.aws.amazon.com/lambda/latest/dg/configuration-memory.html
func (f *lambdaFunction) compute(ctx context.Context, d time.Duration) error {
	share := min(1, float64(f.memory)/memoryOfCPU) // the code has one goroutine that counts
	return f.sleep(ctx, time.Duration(float64(d)/share))
}

var (
	errThrottled = errors.New("TooManyRequestsException")
	errTimedOut  = errors.New("task timed out")
)

// acquire returns an environment to run a call in: nil in env for a new one.
func (f *lambdaFunction) acquire() (env *environment, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	l := f.lambda
	if f.reserved >= 0 && f.running >= f.reserved || f.reserved < 0 && l.running >= l.unbound {
		f.counts.throttled++
		return nil, errThrottled
	}
	f.running++
	l.total++
	if f.reserved < 0 {
		l.running++
	}
	f.peak, l.peak = max(f.peak, f.running), max(l.peak, l.total)
	f.counts.calls++
	if n := len(f.idle); n > 0 && time.Since(f.idle[n-1].used) < environmentIdle {
		env, f.idle = f.idle[n-1], f.idle[:n-1]
	}
	return env, nil
}

// release returns an environment; nil for one that ended.
func (f *lambdaFunction) release(env *environment, begun time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.running--
	f.lambda.total--
	if f.reserved < 0 {
		f.lambda.running--
	}
	f.counts.billed += time.Since(begun)
	if env != nil {
		env.used = time.Now()
		f.idle = append(f.idle, env)
	}
}

// invoke calls the function, and waits for its answer.
func (f *lambdaFunction) invoke(payload []byte) ([]byte, error) {
	if f.handler == contract.HandlerRelease { // image builds are not simulated
		return nil, nil
	}
	if err := f.takes(f.ctx, invocation); err != nil {
		return nil, err
	}
	env, err := f.acquire()
	if err != nil {
		return nil, err
	}
	begun := time.Now()
	out, err := f.serve(&env, payload)
	f.release(env, begun)
	return out, err
}

// serve runs a call in env, or in a new one. One that times out takes its environment with it.
func (f *lambdaFunction) serve(env **environment, payload []byte) ([]byte, error) {
	if *env == nil {
		h, err := f.begin()
		if err != nil {
			f.count(&f.counts.failed)
			return nil, err
		}
		*env = &environment{handler: h}
	}
	ctx, cancel := context.WithTimeout(f.ctx, f.timeout)
	defer cancel()
	out, err := (*env).handler.Invoke(ctx, payload)
	switch {
	case ctx.Err() != nil:
		*env = nil
		f.count(&f.counts.timedOut)
		return nil, errTimedOut
	case err != nil:
		f.count(&f.counts.failed)
	}
	return out, err
}

func (f *lambdaFunction) count(n *int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	*n++
}

// begin starts an environment.
func (f *lambdaFunction) begin() (lambda.Handler, error) {
	f.count(&f.counts.colds)
	if err := f.takes(f.ctx, coldStart); err != nil {
		return nil, err
	}
	h, err := f.open(f.ctx, f.place)
	if err != nil {
		return nil, err
	}
	return lambda.NewHandler(h), nil
}

// event has the function called for an event, without anybody waiting, until that succeeds or is given up.
func (f *lambdaFunction) event(payload []byte) {
	f.start(func() {
		failures, begun := 0, time.Now()
		for pause := throttleFirstPause; ; {
			_, err := f.invoke(payload)
			var wait time.Duration
			switch {
			case err == nil || f.ctx.Err() != nil:
				return
			case errors.Is(err, errThrottled):
				wait, pause = pause, min(2*pause, throttleMaxPause)
			default:
				failures++
				wait = asyncErrorPause << (failures - 1)
			}
			if failures > asyncRetries || time.Since(begun)+wait > asyncMaxAge {
				f.giveUp(payload, err)
				return
			}
			if f.sleep(f.ctx, wait) != nil {
				return
			}
		}
	})
}

// giveUp sends an event to the function's dead letters.
// https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-retain-records.html#invocation-dlq
func (f *lambdaFunction) giveUp(payload []byte, err error) {
	if f.letters == "" {
		f.fault("%s lost an event: %v", f.id, err)
		return
	}
	f.queues[f.letters].send(string(payload), map[string]string{"RequestID": "request", "ErrorCode": "200", "ErrorMessage": err.Error()})
}

// RoundTrip calls the function whose URL it is, for tasks, which sign as their role.
func (l *lambdas) url(id string, req *http.Request, body, event []byte) (*http.Response, error) {
	out, err := l.functions[id].invoke(event)
	if l.ctx.Err() != nil {
		return nil, l.ctx.Err()
	}
	status, text, header := http.StatusBadGateway, `{"Message":"Internal Server Error"}`, http.Header{"Content-Type": {"application/json"}}
	var res struct {
		StatusCode int
		Headers    map[string]string
		Body       string
	}
	switch {
	case errors.Is(err, errThrottled):
		status, text = http.StatusTooManyRequests, `{"Message":"Too Many Requests"}`
	case err == nil && json.Unmarshal(out, &res) == nil:
		status, text = res.StatusCode, res.Body
		for name, value := range res.Headers {
			header.Set(name, value)
		}
	}
	return &http.Response{
		StatusCode: status, Status: fmt.Sprint(status), Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Request: req,
		Header: header, Body: io.NopCloser(strings.NewReader(text)), ContentLength: int64(len(text)),
	}, nil
}
