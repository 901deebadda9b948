package simulation

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"
)

// A caller is AWS as the code of a function reaches it: the SDK's HTTP client. What a call takes of the function's
// processor passes here, too, since computing takes no time in the bubble.
type caller struct{ f *lambdaFunction }

// A refusal is an error that AWS answers with.
type refusal struct {
	status  int
	code    string
	message string
	more    map[string]any
}

func (r *refusal) Error() string { return r.code + ": " + r.message }

// A service is one of AWS: it carries out an operation, which takes its time.
type service func(ctx context.Context, operation string, body []byte) (any, error)

// Do implements aws.HTTPClient.
func (c caller) Do(req *http.Request) (*http.Response, error) {
	w, ctx := c.f.world, req.Context()
	body, err := io.ReadAll(req.Body)
	if err != nil {
		return nil, err
	}
	name, operation, _ := strings.Cut(req.Header.Get("X-Amz-Target"), ".")
	name, _, _ = strings.Cut(name, "_2") // DynamoDB_20120810
	serve := map[string]service{
		"DynamoDB": w.table.serve, "AWSEvents": w.bus.serve, "AmazonSQS": w.serveQueues,
		"AmazonEC2ContainerServiceV20141113": w.ecs.serve, "secretsmanager": w.serveSecrets,
	}[name]
	if serve == nil {
		w.fault("call of %s %s: nobody here serves it", name, operation)
		return nil, errors.New("no such service")
	}
	if err := c.f.compute(ctx, cpuCall+cpuKB*time.Duration(len(body)>>10)+w.table.computing(name, operation, body)); err != nil {
		return nil, err
	}
	if w.chance(w.weather()) {
		return answer(req, nil, &refusal{status: 500, code: "InternalServerError", message: "bad weather"})
	}
	out, err := serve(ctx, operation, body)
	if ctx.Err() != nil || w.chance(w.weather()) {
		return nil, errors.Join(io.ErrUnexpectedEOF, ctx.Err())
	}
	res, err := answer(req, out, err)
	if err != nil {
		return nil, err
	}
	return res, c.f.compute(ctx, cpuKB*time.Duration(res.ContentLength>>10))
}

// answer writes what a service said.
func answer(req *http.Request, out any, err error) (*http.Response, error) {
	status := http.StatusOK
	if r := (*refusal)(nil); errors.As(err, &r) {
		status = r.status
		said := map[string]any{"__type": r.code, "message": r.message}
		for name, value := range r.more {
			said[name] = value
		}
		out = said
	} else if err != nil {
		return nil, err
	}
	body, err := json.Marshal(out)
	if err != nil {
		return nil, err
	}
	return &http.Response{
		StatusCode: status, Status: fmt.Sprint(status), Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Request: req,
		Header: http.Header{"Content-Type": {"application/x-amz-json-1.0"}, "X-Amzn-Requestid": {"request"}, "Date": {time.Now().UTC().Format(http.TimeFormat)}},
		Body:   io.NopCloser(bytes.NewReader(body)), ContentLength: int64(len(body)),
	}, nil
}

// decode reads a request whose every field the simulation knows: one that it would ignore is a fault of its own.
func decode(body []byte, into any) error {
	d := json.NewDecoder(bytes.NewReader(body))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		return &refusal{status: 400, code: "ValidationException", message: "the simulation does not know it: " + err.Error()}
	}
	return nil
}

func (w *world) serveSecrets(ctx context.Context, operation string, body []byte) (any, error) {
	var in struct{ SecretId, VersionStage string }
	if err := decode(body, &in); err != nil {
		return nil, err
	}
	return map[string]any{"SecretString": w.secret(in.SecretId), "ARN": in.SecretId}, w.takes(ctx, readItem)
}

// A bucket grants so many of something in a second; what is not used lasts for burst.
type bucket struct {
	rate, burst float64
	left        float64
	at          time.Time
}

func newBucket(rate, burst float64) *bucket { return &bucket{rate: rate, burst: burst, left: burst} }

// take takes n, and reports whether there was any left.
func (b *bucket) take(now time.Time, n float64) bool {
	if !b.at.IsZero() {
		b.left = min(b.burst, b.left+b.rate*now.Sub(b.at).Seconds())
	}
	b.at = now
	if b.left <= 0 {
		return false
	}
	b.left -= n
	return true
}
