package rollout

import (
	"testing"

	"github.com/mayfly-ci/mayfly/internal/aws/stack"
	"github.com/mayfly-ci/mayfly/internal/config"
)

// TestSettingsHaveTheCA: functions trust the same CA of GitHub's as the tool does.
func TestSettingsHaveTheCA(t *testing.T) {
	d := NewDeployment(&Site{Config: &config.Config{}}, Access{CA: []byte("certificates")}, stack.Settings{}, stack.Template{})
	if got := d.handlerSettings().GitHub.CA; got != "certificates" {
		t.Errorf("the functions' CA is %q", got)
	}
}
