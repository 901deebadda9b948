package deploy_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mayfly-ci/mayfly/internal/aws/awstest"
	"github.com/mayfly-ci/mayfly/internal/aws/deploy"
	"github.com/mayfly-ci/mayfly/internal/aws/stack"
	"github.com/mayfly-ci/mayfly/internal/config"
)

// tree renders a configuration; more goes into its section aws.
func tree(t *testing.T, more, pools string) map[string]any {
	t.Helper()
	c, err := config.Parse("mayfly.yaml", []byte("github: {token: env:T}\nwebhook: {at: acme, secrets: [env:S]}\naws: {"+more+"}\npools:\n"+pools))
	if err != nil {
		t.Fatal(err)
	}
	s, err := stack.Of(c)
	if err != nil {
		t.Fatal(err)
	}
	rendered, err := stack.Render(s)
	if err != nil {
		t.Fatal(err)
	}
	read, err := stack.Read(rendered.Body)
	if err != nil {
		t.Fatal(err)
	}
	return read
}

const (
	x64   = "- {name: small, labels: [x64]}\n"
	deep  = "- {name: deploy, labels: [deploy], aws: {policies: ['arn:aws:iam::123456789012:policy/deploy']}}\n"
	arm   = "- {name: arm, labels: [arm64], aws: {architecture: arm64}}\n"
	ofVPC = "vpc: vpc-0123456789abcdef0, subnets: [subnet-0123456789abcdef0], public_addresses: false"
)

// TestUpdates renders pairs of configurations and says what the update from the first to the second
// loses, cannot do, and must wait for.
func TestUpdates(t *testing.T) {
	for name, c := range map[string]struct {
		before, after           map[string]any
		lost, stuck, kept, gone []string
		drain                   deploy.Drain
	}{
		"nothing":      {before: tree(t, "", x64), after: tree(t, "", x64)},
		"bigger hosts": {before: tree(t, "", x64), after: tree(t, "hosts: {amd64_types: [m7i.xlarge], disk: 100GiB}", x64)},
		"more kept":    {before: tree(t, "", x64), after: tree(t, "retention_days: 60, alarm_email: ops@example.com", x64)},
		"one more pool": {
			before: tree(t, "", x64), after: tree(t, "", x64+arm+deep),
		},
		"without arm64": {
			before: tree(t, "", x64+arm), after: tree(t, "", x64), gone: []string{"PoolArmTask", "HostArm64Group", "BuildArm64"},
			drain: deploy.Drain{Groups: []string{"ci-HostArm64Group"}, Providers: []string{"ci-HostArm64CapacityProvider"}},
		},
		"another VPC":    {before: tree(t, "", x64), after: tree(t, ofVPC, x64), gone: []string{"Vpc", "SubnetA"}, drain: deploy.Drain{All: true}},
		"a VPC of one's": {before: tree(t, ofVPC, x64), after: tree(t, "", x64), drain: deploy.Drain{All: true}},
		"source to S3":   {before: tree(t, "", x64), after: tree(t, "source: s3", x64), kept: []string{"Source"}, gone: []string{"PushesRule"}},
		"source back":    {before: tree(t, "source: s3", x64), after: tree(t, "", x64)},
		"pool renamed": {
			before: tree(t, "", x64), after: tree(t, "", strings.Replace(x64, "small", "tiny", 1)), gone: []string{"PoolSmallWanted", "PoolSmallTask"},
		},
		"pool removed": {
			before: tree(t, "", x64+strings.Replace(x64, "small", "tiny", 1)), after: tree(t, "", x64), gone: []string{"PoolTinyWanted", "PoolTinyTask"},
		},
		"pool with a role removed": {
			before: tree(t, "", x64+deep), after: tree(t, "", x64), gone: []string{"PoolDeployRole"}, drain: deploy.Drain{Tasks: []string{"PoolDeployTask"}},
		},
	} {
		var kept, gone []string
		changes := deploy.ChangesOf(awstest.Changes(c.before, c.after))
		for _, change := range changes {
			if change.Kept {
				kept = append(kept, change.Resource)
			} else if change.Action == "Remove" {
				gone = append(gone, change.Resource)
			}
		}
		impact := deploy.ImpactOf(changes)
		for what, pair := range map[string][2][]string{"lost": {c.lost, ids(impact.Losses)}, "stuck": {c.stuck, ids(impact.Stuck)}, "kept": {c.kept, kept}} {
			if !slices.Equal(pair[0], pair[1]) {
				t.Errorf("%s: %s %q, want %q", name, what, pair[1], pair[0])
			}
		}
		if diff := cmp.Diff(c.drain, impact.Drain); diff != "" {
			t.Errorf("%s: drain (-want +got):\n%s", name, diff)
		}
		for _, id := range c.gone {
			if !slices.Contains(gone, id) {
				t.Errorf("%s: %s is not removed: %q", name, id, gone)
			}
		}
		if len(c.lost)+len(c.stuck) == 0 {
			if err := impact.Refuse("ci", nil); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
}

func ids(changes []deploy.Change) (names []string) {
	for _, c := range changes {
		names = append(names, c.Resource)
	}
	return names
}

// TestPlantedLosses changes a template as no setting does, and finds what that would lose.
func TestPlantedLosses(t *testing.T) {
	set := func(id string, properties map[string]any) func(map[string]any) {
		return func(resources map[string]any) {
			of := resources[id].(map[string]any)["Properties"].(map[string]any)
			for name, value := range properties {
				of[name] = value
			}
		}
	}
	without := func(ids ...string) func(map[string]any) {
		return func(resources map[string]any) {
			for _, id := range ids {
				delete(resources, id)
			}
		}
	}
	for name, c := range map[string]struct {
		plant       func(resources map[string]any)
		lost, stuck []string
	}{
		"archive removed":    {without("Archive"), []string{"Archive"}, nil},
		"images removed":     {without("Images"), []string{"Images"}, nil},
		"logs removed":       {without("EventsLog"), []string{"EventsLog"}, nil},
		"letters removed":    {without("DeadLetters"), []string{"DeadLetters"}, nil},
		"table renamed":      {set("Ledger", map[string]any{"TableName": "other"}), []string{"Ledger"}, []string{"Ledger"}},
		"images encrypted":   {set("Images", map[string]any{"EncryptionConfiguration": map[string]any{"EncryptionType": "KMS"}}), []string{"Images"}, []string{"Images"}},
		"bus renamed":        {set("Bus", map[string]any{"Name": "other"}), []string{"Bus", "Archive"}, []string{"Bus", "Archive"}},
		"bus described":      {set("Bus", map[string]any{"Description": "other"}), nil, nil}, // the archive refers to it, and stays
		"group of a name":    {set("HostAmd64Group", map[string]any{"AutoScalingGroupName": "other"}), nil, []string{"HostAmd64CapacityProvider"}},
		"group in a subnet":  {set("HostAmd64Group", map[string]any{"VPCZoneIdentifier": []any{"subnet-1"}}), nil, nil}, // AWS calls it conditional
		"key schema changed": {set("Ledger", map[string]any{"KeySchema": []any{}}), []string{"Ledger"}, []string{"Ledger"}},
	} {
		after := tree(t, "", x64)
		c.plant(after["Resources"].(map[string]any))
		impact := deploy.ImpactOf(deploy.ChangesOf(awstest.Changes(tree(t, "", x64), after)))
		lost, stuck := ids(impact.Losses), ids(impact.Stuck)
		for _, id := range c.lost {
			if !slices.Contains(lost, id) {
				t.Errorf("%s: loses %q, and not %s", name, lost, id)
			}
		}
		for _, id := range c.stuck {
			if !slices.Contains(stuck, id) {
				t.Errorf("%s: cannot replace %q, and not %s", name, stuck, id)
			}
		}
		err := impact.Refuse("ci", nil)
		if (err == nil) != (len(c.lost)+len(c.stuck) == 0) {
			t.Errorf("%s: %v", name, err)
		}
		if err := impact.Refuse("ci", c.lost); len(c.stuck) == 0 && err != nil {
			t.Errorf("%s: allowed, and yet: %v", name, err)
		}
	}
}
