package pool

import (
	"testing"

	"github.com/mayfly-ci/mayfly/internal/event"
)

func TestHosted(t *testing.T) {
	for _, labels := range [][]string{
		nil, {"ubuntu-latest"}, {"Ubuntu-24.04"}, {"ubuntu-24.04-arm"}, {"ubuntu-slim"}, {"windows-2022"}, {"windows-11-arm"}, {"windows-2025-vs2026"},
		{"macos-14"}, {"macos-latest-xlarge"}, {"macos-15-intel"}, {"macos-13-large"},
	} {
		if !Hosted(labels) {
			t.Errorf("%q: want it to be GitHub's", labels)
		}
	}
	for _, labels := range [][]string{
		{"self-hosted"}, {"self-hosted", "ubuntu-latest"}, {"ubuntu-latest", "gpu"}, {"ubuntu"}, {"linux"}, {"ubuntu-24.04-8core"}, {"my-ubuntu-latest"},
		{"macos"}, {"windows"}, {"ubuntu-latest,ubuntu-22.04"}, {""}, {"ubuntu-latest "},
	} {
		if Hosted(labels) {
			t.Errorf("%q: want it not to be GitHub's", labels)
		}
	}
}

func TestUnfit(t *testing.T) {
	set := Set{
		{Name: "small", Labels: []string{"linux", "x64"}, Repositories: []string{"acme/*"}},
		{Name: "org", Labels: []string{"linux", "arm64"}, OfOrganization: true},
	}
	for _, test := range []struct {
		set  Set
		job  event.WorkflowJob
		want string
	}{
		{nil, event.WorkflowJob{Labels: []string{"linux"}}, "there are no pools"},
		{set, event.WorkflowJob{}, "it has no labels, so that no pool takes it"},
		{set, event.WorkflowJob{Labels: []string{"a,b,c", "linux"}}, `no pool takes label "a,b,c": the nearest is small, with labels linux, x64`},
		{set, event.WorkflowJob{Labels: []string{"x64 "}}, `no pool takes label "x64 ": the nearest is small, with labels linux, x64`},
		{set, event.WorkflowJob{Repository: "other/web", Labels: []string{"linux"}, Organization: ""}, "pool small has its labels but does not serve repository other/web"},
		{set, event.WorkflowJob{Repository: "acme/web", Labels: []string{"arm64"}},
			"pool org has its labels but its runners are registered at organizations (runners_at: organization), and repository acme/web belongs to a user"},
	} {
		if p, ok := test.set.Route(test.job); ok {
			t.Errorf("%+v: pool %s takes it", test.job, p.Name)
		}
		if _, got := test.set.Unfit(test.job); got != test.want {
			t.Errorf("%+v:\n got %s\nwant %s", test.job, got, test.want)
		}
	}
	if p, ok := set.Route(event.WorkflowJob{Repository: "acme/web", Labels: []string{"arm64"}, Organization: "acme"}); !ok || p.Name != "org" {
		t.Errorf("of an organization: %v, %t: want pool org", p, ok)
	}
	claimed := Set{{Name: "own", Labels: []string{"ubuntu-latest"}}}
	if _, ok := claimed.Route(event.WorkflowJob{Labels: []string{"ubuntu-latest"}}); !ok {
		t.Error("a pool that claims ubuntu-latest does not get it")
	}
}
