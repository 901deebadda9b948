package stack_test

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mayfly-ci/mayfly/internal/aws"
	"github.com/mayfly-ci/mayfly/internal/event"
)

// TestEnvironmentOfFunctions: each function is given what it uses and no more, by the
// names that handlers read.
func TestEnvironmentOfFunctions(t *testing.T) {
	body := string(render(t, settings(t, "", mixed)))
	for handler, want := range map[string][]string{
		aws.HandlerWebhook: {aws.EnvBus, aws.EnvWebhookSecret},
		aws.HandlerClaim:   {aws.EnvBus, aws.EnvTable, aws.EnvCluster, aws.EnvAppSecret, aws.EnvTaskRoles},
		aws.HandlerLedger:  {aws.EnvBus, aws.EnvTable},
		aws.HandlerSweep:   {aws.EnvBus, aws.EnvTable, aws.EnvCluster, aws.EnvAppSecret, aws.EnvDeadLetters, aws.EnvHookURL},
		aws.HandlerRelease: {aws.EnvProjects, aws.EnvSource, aws.EnvRepository, aws.EnvTable, aws.EnvBus},
	} {
		_, rest, found := strings.Cut(body, fmt.Sprintf("          %s: %s\n", aws.EnvHandler, handler))
		if !found {
			t.Fatalf("no function has %s: %s", aws.EnvHandler, handler)
		}
		var got []string
		for line := range strings.Lines(rest) {
			m := regexp.MustCompile(`^ {10}(\w+): `).FindStringSubmatch(line)
			if m == nil {
				break
			}
			got = append(got, m[1])
		}
		want = append(want, aws.EnvStack)
		if diff := cmp.Diff(slices.Sorted(slices.Values(want)), slices.Sorted(slices.Values(got))); diff != "" {
			t.Errorf("%s (-read +given):\n%s", handler, diff)
		}
	}
}

// TestNamesInTasks: rules and tasks say things as agent and claim function know them.
func TestNamesInTasks(t *testing.T) {
	body := string(render(t, settings(t, "", small)))
	for _, want := range []string{
		"- Name: " + aws.ContainerName + "\n",
		fmt.Sprintf(`{"name": %q, "environment": [{"name": %q, "value": "<job>"}]}`, aws.ContainerName, aws.EnvJob),
		fmt.Sprintf(`{"name": %q, "environment": [{"name": %q, "value": "<job>"}, {"name": %q, "value": "<runner>"}]}`, aws.ContainerName, aws.EnvJob, aws.EnvRunner),
		fmt.Sprintf("EntryPoint: [%q]\n", aws.AgentPath),
		fmt.Sprintf("detail-type: [%s], replay-name: [{ exists: false }] }", aws.TypeDeliveryQuarantined),
		fmt.Sprintf("detail-type: [%s, %s, %s]", aws.TypeVersionRefused, aws.TypeStartFailed, aws.TypeRunwayKnown),
		fmt.Sprintf("detail-type: [%s, %s, %s]", event.TypeRunnerUnwanted, event.TypeJobUncertain, aws.TypeRunwayUncertain),
	} {
		if !strings.Contains(body, want) {
			t.Errorf("the template has no %s", want)
		}
	}
}
