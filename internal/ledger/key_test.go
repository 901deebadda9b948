package ledger_test

import (
	"cmp"
	"encoding/json"
	"testing"

	"github.com/mayfly-ci/mayfly/internal/event"
	"github.com/mayfly-ci/mayfly/internal/ledger"
)

func TestParseJobKey(t *testing.T) {
	for _, text := range []string{"acme/web/123/1", "a/b/9223372036854775807/0"} {
		if k, err := ledger.ParseJobKey(text); err != nil || k.String() != text {
			t.Errorf("%q: %v, %v: want itself", text, k, err)
		}
	}
	if k, err := ledger.ParseJobKey("Acme/Web/123/1"); err != nil || k != ledger.NewJobKey("acme/WEB", 123, 1) {
		t.Errorf("case is not folded: %v, %v", k, err)
	}
	for _, text := range []string{"", "acme/web", "acme/web/123", "/web/1/1", "acme//1/1", "a/b/c/1/1", "acme/web/x/1", "acme/web/0/1", "acme/web/1/-1", "acme/web/1/x", "acme/web/-1/1", "acme/web/99999999999999999999/1"} {
		if k, err := ledger.ParseJobKey(text); err == nil {
			t.Errorf("%q: %v: want an error", text, k)
		}
	}
}

// TestKeyOfEvent: the key that rules pass on is the ledger's.
func TestKeyOfEvent(t *testing.T) {
	w := event.WorkflowJob{Repository: "Acme/Web", ID: 123, Attempt: 2}
	if k, err := ledger.ParseJobKey(w.Key()); err != nil || k != ledger.KeyOf(w) {
		t.Errorf("%q: %v, %v: want %v", w.Key(), k, err, ledger.KeyOf(w))
	}
}

func FuzzParseJobKey(f *testing.F) {
	f.Add("acme/web/123/1")
	f.Fuzz(func(t *testing.T, text string) {
		k, err := ledger.ParseJobKey(text)
		if err != nil {
			return
		}
		if again, err := ledger.ParseJobKey(k.String()); err != nil || again != k {
			t.Errorf("%q: %v, then %v, %v", text, k, again, err)
		}
	})
}

func TestLabelSet(t *testing.T) {
	for _, test := range []struct {
		labels []string
		want   ledger.LabelSet
	}{
		{nil, ""}, {[]string{""}, "%"}, {[]string{"Linux"}, "linux"}, {[]string{"d", "a,B,c", "e"}, "a%2Cb%2Cc,d,e"}, {[]string{"b", "a%2Cb", "a,b"}, "a%252cb,a%2Cb,b"}, {[]string{"x64", "Linux", "linux", "X64"}, "linux,x64"},
	} {
		if got := ledger.NewLabelSet(test.labels); got != test.want {
			t.Errorf("%q: %q: want %q", test.labels, got, test.want)
		}
		text, err := json.Marshal(test.want)
		var again ledger.LabelSet
		if err := cmp.Or(err, json.Unmarshal(text, &again)); err != nil || again != test.want || text[0] != '[' {
			t.Errorf("%q: in JSON %s, read as %q, %v", test.labels, text, again, err)
		}
	}
}

// TestLabelsOfEarlierVersions were one text.
func TestLabelsOfEarlierVersions(t *testing.T) {
	var j ledger.Job
	if err := json.Unmarshal([]byte(`{"job":"acme/web/1/1","labels":"linux,self-hosted"}`), &j); err != nil || j.Labels != ledger.NewLabelSet([]string{"self-hosted", "linux"}) {
		t.Errorf("%q, %v: want two labels", j.Labels, err)
	}
}

// TestEffectsAreFlat: the details of events hold plain values only, so that an input
// transformer can pass them, and nothing but what is listed here.
func TestEffectsAreFlat(t *testing.T) {
	scope := ledger.Scope{Repository: "Acme/Web", Organization: "Acme", Installation: 3}
	key := ledger.NewJobKey("Acme/Web", 1, 1)
	for _, test := range []struct {
		effect ledger.Effect
		want   string
	}{
		{ledger.WantRunner{Runner: "i-small-1-1-1", Pool: "small", Job: key, Labels: "linux,x64", Scope: scope},
			`{"runner":"i-small-1-1-1","pool":"small","job":"acme/web/1/1","labels":"linux,x64","repository":"Acme/Web","organization":"Acme","installation":3}`},
		{ledger.RemoveRunner{Runner: "i-small-1-1-1", Pool: "small", GitHubID: 7, Registered: true, Reason: "not needed", Scope: scope},
			`{"runner":"i-small-1-1-1","pool":"small","github_id":7,"registered":true,"force":false,"reason":"not needed","repository":"Acme/Web","organization":"Acme","installation":3}`},
		{ledger.CheckJob{Job: key, Reason: "silence", Scope: scope},
			`{"job":"acme/web/1/1","reason":"silence","repository":"Acme/Web","organization":"Acme","installation":3}`},
	} {
		if got, err := json.Marshal(test.effect); err != nil || string(got) != test.want {
			t.Errorf("%s:\n got %s, %v\nwant %s", test.effect.DetailType(), got, err, test.want)
		}
	}
}
