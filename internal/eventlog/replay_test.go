package eventlog_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/mayfly-ci/mayfly/internal/eventlog"
)

// TestCheckReplayName holds names against EventBridge's rule.
// https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_StartReplay.html
func TestCheckReplayName(t *testing.T) {
	for _, name := range []string{"a", "launch-2026.01_31", strings.Repeat("a", 64)} {
		if err := eventlog.CheckReplayName(name); err != nil {
			t.Errorf("%q: %v", name, err)
		}
	}
	for _, name := range []string{"", "a b", "a/b", "ä", strings.Repeat("a", 65)} {
		if err := eventlog.CheckReplayName(name); !errors.Is(err, eventlog.ErrReplay) {
			t.Errorf("%q: %v, want ErrReplay", name, err)
		}
	}
}
