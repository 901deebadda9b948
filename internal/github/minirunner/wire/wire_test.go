package wire_test

import (
	"context"
	"encoding/base64"
	"errors"
	"testing"
	"time"

	"github.com/mayfly-ci/mayfly/internal/github/minirunner/wire"
)

// TestResolve holds addresses against what .NET's Uri makes of them.
func TestResolve(t *testing.T) {
	for _, test := range [][3]string{
		{"http://h/_runner/run/ID", "acquirejob", "http://h/_runner/run/acquirejob"},
		{"http://h/_runner/run/ID/", "acquirejob", "http://h/_runner/run/ID/acquirejob"},
		{"http://h/broker/", "message?a=b", "http://h/broker/message?a=b"},
		{"http://h/broker", "message", "http://h/message"},
		{"http://h:7000/a/b?x=y", "/actions/build", "http://h:7000/actions/build"},
	} {
		if got, err := wire.Resolve(test[0], test[1]); err != nil || got != test[2] {
			t.Errorf("%s against %s is %s, %v; want %s", test[1], test[0], got, err, test[2])
		}
	}
	for _, base := range []string{"", "/broker/", "::"} {
		if got, err := wire.Resolve(base, "x"); err == nil {
			t.Errorf("against %q it is %s", base, got)
		}
	}
}

func TestCheckJWT(t *testing.T) {
	b64 := base64.RawURLEncoding.EncodeToString
	object := b64([]byte(`{"typ":"JWT"}`))
	for token, want := range map[string]error{
		object + "." + object + "." + b64([]byte("anything")): nil,
		object + "." + object + ".":                           nil,
		"ghs_0123456789":                                      wire.ErrNoJWT,
		"":                                                    wire.ErrNoJWT,
		object + "." + object:                                 wire.ErrNoJWT,
		object + "." + b64([]byte("no object")) + ".x": wire.ErrNoJWT,
		object + "." + object + ".?":                   wire.ErrNoJWT,
	} {
		if got := wire.CheckJWT(token); !errors.Is(got, want) && got != want {
			t.Errorf("%q: %v, want %v", token, got, want)
		}
	}
}

func TestRefusalOf(t *testing.T) {
	answer := func(body string) error { return &wire.StatusError{Status: 404, Body: []byte(body)} }
	signed := `{"source":"actions-broker-listener","errorKind":"RunnerNotFound","statusCode":404,"errorMessage":"gone"}`
	if r, ok := wire.RefusalOf(answer(signed), wire.Broker); !ok || r.Kind != "RunnerNotFound" || r.Message != "gone" {
		t.Errorf("read as %+v, %v", r, ok)
	}
	for _, err := range []error{nil, errors.New("x"), answer(""), answer(`{"errorKind":"RunnerNotFound"}`), answer("<html>")} {
		if r, ok := wire.RefusalOf(err, wire.Broker); ok {
			t.Errorf("%v was read as %+v", err, r)
		}
	}
	if _, ok := wire.RefusalOf(answer(signed), wire.RunService); ok {
		t.Error("another service's signature was taken")
	}
}

func TestRetry(t *testing.T) {
	failed, over := errors.New("failed"), errors.New("over")
	span := wire.Span{Least: time.Microsecond, Most: 2 * time.Microsecond}
	final := func(err error) bool { return err == over }
	for name, test := range map[string]struct {
		answers []error
		calls   int
		want    error
	}{
		"at once":   {[]error{nil}, 1, nil},
		"later":     {[]error{failed, failed, nil}, 3, nil},
		"never":     {[]error{failed, failed, failed, failed, failed, nil}, 5, failed},
		"not again": {[]error{failed, over, nil}, 2, over},
	} {
		calls := 0
		err := span.Retry(t.Context(), final, func() error { calls++; return test.answers[calls-1] })
		if err != test.want || calls != test.calls {
			t.Errorf("%s: %v after %d calls, want %v after %d", name, err, calls, test.want, test.calls)
		}
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	calls := 0
	if err := span.Retry(ended, final, func() error { calls++; return failed }); err != failed || calls != 1 {
		t.Errorf("with its context ended: %v after %d calls", err, calls)
	}
}
