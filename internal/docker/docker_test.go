package docker

import (
	"errors"
	"strings"
	"testing"
)

func TestFindSaysWhyThereIsNone(t *testing.T) {
	_, err := Find(t.Context(), "", "/no/such.sock", "tcp://10.0.0.1:2375")
	if !errors.Is(err, ErrNoEngine) || !strings.Contains(err.Error(), "/no/such.sock") || !strings.Contains(err.Error(), "want a unix socket") {
		t.Errorf("%v, want the reason of each", err)
	}
}
