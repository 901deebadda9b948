package secret_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/mayfly-ci/mayfly/internal/secret"
)

func TestSecretHidesItself(t *testing.T) {
	s := secret.New("hunter2")
	holder := struct {
		S secret.Secret
		P *secret.Secret
		u secret.Secret
	}{s, &s, s}
	var out bytes.Buffer
	fmt.Fprintf(&out, "%v %+v %#v %s %q %x %v %+v %#v", s, s, s, s, s, s, holder, holder, holder)
	slog.New(slog.NewTextHandler(&out, nil)).Info("m", "s", s, "holder", holder)
	slog.New(slog.NewJSONHandler(&out, nil)).Info("m", "s", s, "holder", holder)
	if err := json.NewEncoder(&out).Encode(holder); err != nil {
		t.Fatal(err)
	}
	for _, leak := range []string{"hunter2", fmt.Sprintf("%x", "hunter2")} {
		if strings.Contains(out.String(), leak) {
			t.Errorf("printed %s in %s", leak, out.String())
		}
	}
	if s.Reveal() != "hunter2" {
		t.Error("Reveal lost the value")
	}
}
