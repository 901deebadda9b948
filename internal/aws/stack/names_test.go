package stack_test

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mayfly-ci/mayfly/internal/aws/contract"
	"github.com/mayfly-ci/mayfly/internal/event"
)

// TestEnvironmentOfFunctions: each function is given what it uses and no more, by the
// names that handlers read.
func TestEnvironmentOfFunctions(t *testing.T) {
	body := string(render(t, settings(t, "", mixed)))
	for handler, want := range map[string][]string{
		contract.HandlerWebhook: {contract.EnvBus, contract.EnvWebhookSecret},
		contract.HandlerClaim:   {contract.EnvBus, contract.EnvTable, contract.EnvCluster, contract.EnvAppSecret, contract.EnvTaskRoles},
		contract.HandlerLedger:  {contract.EnvBus, contract.EnvTable},
		contract.HandlerSweep:   {contract.EnvBus, contract.EnvTable, contract.EnvCluster, contract.EnvAppSecret, contract.EnvDeadLetters, contract.EnvHookURL},
		contract.HandlerRelease: {contract.EnvProjects, contract.EnvSource, contract.EnvRepository, contract.EnvTable, contract.EnvBus},
	} {
		_, rest, found := strings.Cut(body, fmt.Sprintf("          %s: %s\n", contract.EnvHandler, handler))
		if !found {
			t.Fatalf("no function has %s: %s", contract.EnvHandler, handler)
		}
		var got []string
		for line := range strings.Lines(rest) {
			m := regexp.MustCompile(`^ {10}(\w+): `).FindStringSubmatch(line)
			if m == nil {
				break
			}
			got = append(got, m[1])
		}
		want = append(want, contract.EnvStack)
		if diff := cmp.Diff(slices.Sorted(slices.Values(want)), slices.Sorted(slices.Values(got))); diff != "" {
			t.Errorf("%s (-read +given):\n%s", handler, diff)
		}
	}
}

// TestQueues: destroying a stack looks for each queue that it has.
func TestQueues(t *testing.T) {
	var got []string
	for _, m := range regexp.MustCompile(`QueueName: !Sub "\$\{AWS::StackName\}-([a-z-]+)"`).FindAllStringSubmatch(string(render(t, settings(t, "", mixed))), -1) {
		got = append(got, m[1])
	}
	if diff := cmp.Diff(slices.Sorted(slices.Values(contract.Queues)), slices.Sorted(slices.Values(got))); diff != "" {
		t.Errorf("queues (-looked for +made):\n%s", diff)
	}
}

// TestNamesInTasks: rules and tasks say things as agent and claim function know them.
func TestNamesInTasks(t *testing.T) {
	body := string(render(t, settings(t, "", small)))
	for _, want := range []string{
		"- Name: " + contract.ContainerName + "\n",
		fmt.Sprintf(`{"name": %q, "environment": [{"name": %q, "value": "<runner>"}]}`, contract.ContainerName, contract.EnvRunner),
		fmt.Sprintf("EntryPoint: [%q]\n", contract.AgentPath),
		fmt.Sprintf("detail-type: [%s], replay-name: [{ exists: false }] }", contract.TypeDeliveryQuarantined),
		fmt.Sprintf("detail-type: [%s, %s]", event.TypeWorkflowJob, contract.TypeRunnerReported),
		fmt.Sprintf("detail-type: [%s, %s, %s]", contract.TypeVersionRefused, contract.TypeStartFailed, contract.TypeRunwayKnown),
		fmt.Sprintf("detail-type: [%s, %s, %s]", event.TypeRunnerUnwanted, event.TypeJobUncertain, contract.TypeRunwayUncertain),
	} {
		if !strings.Contains(body, want) {
			t.Errorf("the template has no %s", want)
		}
	}
}
