package stack_test

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mayfly-ci/mayfly/internal/aws/stack"
	"github.com/mayfly-ci/mayfly/internal/config"
)

// settings reads a configuration; more goes into its section aws.
func settings(t testing.TB, more, pools string) stack.Settings {
	t.Helper()
	src := "github: {token: env:T}\nwebhook: {at: acme, secrets: [env:S]}\naws: {" + more + "}\npools:\n" + pools
	c, err := config.Parse("mayfly.yaml", []byte(src))
	if err != nil {
		t.Fatal(err)
	}
	s, err := stack.Of(c)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func render(t testing.TB, s stack.Settings) []byte {
	t.Helper()
	rendered, err := stack.Render(s)
	if err != nil {
		t.Fatal(err)
	}
	return rendered.Body
}

// Pools of tests.
const (
	small = "- {name: small, labels: [self-hosted, linux, x64]}\n"
	mixed = small +
		"- {name: big-arm, labels: [self-hosted, linux, arm64], cpus: 1.5, memory: 3GiB, aws: {architecture: arm64, policies: ['arn:aws:iam::123456789012:policy/deploy']}}\n" +
		"- {name: own-image, labels: [tools], image: '123456789012.dkr.ecr.eu-west-1.amazonaws.com/team/tools:7', command: [/run.sh, 'a \"b\" ${C}'], read_only_root: true}\n"
)

// inVPC has the functions that call GitHub in a VPC.
const inVPC = "vpc: vpc-0123456789abcdef0, subnets: [subnet-0123456789abcdef0, subnet-0123456789abcdef1], public_addresses: false, functions_in_vpc: true, vpc_endpoints: true"

// enterprise has what an organization prescribes, and own has pools with hosts of their own.
const (
	enterprise = inVPC + ", security_groups: [sg-0123456789abcdef0], tags: {team: 'ci: x', cost-center: \"42\"}, permissions_boundary: 'arn:aws:iam::123456789012:policy/org/boundary', role_path: /org/ci/, " +
		"alarm_quiet_hours: 0, hosts: {max: 40, step: 5, session_manager: true, renew_days: 7, schedule: [{cron: 0 8 * * 1-5, min: 3, time_zone: Europe/Berlin}, {cron: 0 19 * * *, min: 0}]}"
	own = "- {name: gpu, labels: [gpu], aws: {exec: true, hosts: {vcpus: 4, memory: 16GiB, gpus: 1, max: 3, spot: true}}}\n" +
		"- {name: large, labels: [large], cpus: 8, memory: 30GiB, aws: {hosts: {types: [c7i.4xlarge], disk: 200GiB, min: 1, image: /org/ami, user_data: \"mount -a\\necho ${HOME}\"}}}\n"
)

// kinds are configurations that differ in what their templates have.
func kinds(t testing.TB) map[string]stack.Settings {
	kept := settings(t, "", small)
	kept.KeepData = true
	gov := settings(t, "region: us-gov-west-1, schemas: false, archive: false", small)
	return map[string]stack.Settings{
		"GovCloud":         gov,
		"arm64, spot":      settings(t, "hosts: {spot: true, on_demand_base: 1, arm64_types: [m7g.xlarge, m6g.xlarge]}", "- {name: arm, labels: [arm64], aws: {architecture: arm64}}\n"),
		"enterprise":       settings(t, enterprise, mixed+own),
		"stopped hosts":    settings(t, "zones: 1, hosts: {amd64_types: [m7i.large], arm64_types: [m7g.large], warm: 2, image: ami-0123456789abcdef0}", small),
		"one pool":         settings(t, "", small),
		"many pools":       settings(t, "stack: ci, alarm_email: ops@example.com, hosts: {spot: true, on_demand_base: 2, min: 1}", mixed),
		"existing subnets": settings(t, "vpc: vpc-0123456789abcdef0, subnets: [subnet-0123456789abcdef0, subnet-0123456789abcdef1], public_addresses: false", small),
		"source in S3":     settings(t, "source: s3", small),
		"endpoints":        settings(t, "vpc_endpoints: true", mixed),
		"functions in VPC": settings(t, inVPC, small),
		"data kept":        kept,
	}
}

func TestRenderIsDeterministic(t *testing.T) {
	for name, s := range kinds(t) {
		first := render(t, s)
		for range 5 {
			if !bytes.Equal(first, render(t, s)) {
				t.Errorf("%s: two templates of the same settings differ", name)
			}
		}
	}
}

// TestSize: what fits a request is said to, and nothing else; 40 pools still fit S3.
func TestSize(t *testing.T) {
	var pools strings.Builder
	for i := range 40 {
		fmt.Fprintf(&pools, "- {name: %032d, labels: [p%d], aws: {policies: ['arn:aws:iam::aws:policy/ReadOnlyAccess']}}\n", i, i)
	}
	for name, s := range map[string]stack.Settings{"small": settings(t, "", small), "large": settings(t, "", pools.String())} {
		rendered, err := stack.Render(s)
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("%s: %d bytes", name, len(rendered.Body))
		if rendered.Inline != (len(rendered.Body) <= 51_200) || len(rendered.Body) > 1<<20 {
			t.Errorf("%s: %d bytes: inline %t", name, len(rendered.Body), rendered.Inline)
		}
	}
}

func TestCheck(t *testing.T) {
	var many strings.Builder
	for i := range 41 {
		fmt.Fprintf(&many, "- {name: p%d, labels: [p%d]}\n", i, i)
	}
	named := settings(t, "", small)
	named.Stack = "fargate-runners"
	odd := settings(t, "", small)
	odd.Pools[0].Name = "small_pool"
	for want, s := range map[string]stack.Settings{
		`ECS reserves names that begin with fargate`:              named,
		`pool name "small_pool": want a-z`:                        odd,
		`41 pools: want 1 to 40`:                                  settings(t, "", many.String()),
		`0 pools: want 1 to 40`:                                   {AWS: named.AWS},
		`pools "a-1" and "a1": CloudFormation cannot distinguish`: settings(t, "", "- {name: a-1, labels: [a]}\n- {name: a1, labels: [b]}\n"),
	} {
		if _, err := stack.Render(s); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %q", err, want)
		}
	}
	c, err := config.Parse("mayfly.yaml", []byte("github: {token: env:T}\nwebhook: {secrets: [env:S]}\npools:\n- {name: a, labels: [b], network: host}\n"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := stack.Of(c); err == nil || !strings.Contains(err.Error(), "mayfly.yaml:4:") {
		t.Errorf("of a file that is not for AWS: %v, want a fault with its line", err)
	}
}

// TestSetup: what a pool's containers have is in its task definition; what it does not say has Mayfly's default there.
func TestSetup(t *testing.T) {
	for pools, wants := range map[string][]string{
		small: {"SharedMemorySize: 2048", "{ Name: nofile, SoftLimit: 65536, HardLimit: 65536 }"},
		"- {name: a, labels: [b], shm: 300MiB, ulimits: {nofile: 1024 4096, memlock: unlimited}, env: {A: '\"b\" ${C}'}, dns: [10.0.0.2, 10.0.0.3]}\n": {
			`{ Name: A, Value: "\"b\" ${C}" }`, `DnsServers: ["10.0.0.2", "10.0.0.3"]`,
			"SharedMemorySize: 300", "{ Name: memlock, SoftLimit: -1, HardLimit: -1 }", "{ Name: nofile, SoftLimit: 1024, HardLimit: 4096 }",
		},
	} {
		body := string(render(t, settings(t, "", pools)))
		for _, want := range wants {
			if !strings.Contains(body, want) {
				t.Errorf("the template of %s lacks %s", pools, want)
			}
		}
	}
}

func TestResources(t *testing.T) {
	got, err := stack.Resources(render(t, settings(t, "", mixed)))
	if err != nil {
		t.Fatal(err)
	}
	for id, want := range map[string]string{
		"Bus": "AWS::Events::EventBus", "PoolSmallWanted": "AWS::Events::Rule", "PoolBigArmRole": "AWS::IAM::Role", "PoolOwnImageTask": "AWS::ECS::TaskDefinition",
		"HostAmd64Group": "AWS::AutoScaling::AutoScalingGroup", "HostArm64CapacityProvider": "AWS::ECS::CapacityProvider", "BuildArm64": "AWS::CodeBuild::Project",
	} {
		if got[id] != want {
			t.Errorf("%s: %q, want %q", id, got[id], want)
		}
	}
	for _, body := range []string{"", "- a", "a: &x b", "a: *x", "Resources:\n  A: {Type: X}\n  A: {Type: Y}", "a: 1\n---\nb: 2", "a: {"} {
		if types, err := stack.Resources([]byte(body)); err == nil {
			t.Errorf("%q: %v and no error", body, types)
		}
	}
}

// TestCloudFormationLint: cfn-lint, AWS's own judge of templates, finds nothing.
func TestCloudFormationLint(t *testing.T) {
	var names []string
	all := kinds(t)
	for name := range all {
		if !testing.Short() || name == "enterprise" { // it takes a second and a half for each
			names = append(names, name)
		}
	}
	if out := cfnLint(t, "eu-west-1", all, names...); out != "" {
		t.Errorf("cfn-lint:\n%s", out)
	}
}

// TestGovCloud: of what the template needs, GovCloud lacks the functions' addresses alone. Mayfly asks
// the region before it makes anything.
func TestGovCloud(t *testing.T) {
	if testing.Short() {
		t.Skip("starts cfn-lint")
	}
	for line := range strings.Lines(cfnLint(t, "us-gov-west-1", kinds(t), "GovCloud")) {
		if !strings.HasSuffix(strings.TrimSpace(line), "E3006:Resource type 'AWS::Lambda::Url' does not exist in 'us-gov-west-1'") {
			t.Errorf("cfn-lint: %s", line)
		}
	}
}

// cfnLint returns what cfn-lint finds in templates, in a region.
func cfnLint(t *testing.T, region string, all map[string]stack.Settings, names ...string) string {
	t.Helper()
	program, err := exec.LookPath("cfn-lint")
	if err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal("cfn-lint is not installed: pip install cfn-lint")
		}
		t.Skip("SKIPPED, NOT TESTED: cfn-lint is not installed: pip install cfn-lint")
	}
	dir := t.TempDir()
	arguments := []string{"--regions", region, "--format", "parseable", "--"}
	for _, name := range names {
		path := filepath.Join(dir, strings.ReplaceAll(name, " ", "-")+".yaml")
		if err := os.WriteFile(path, render(t, all[name]), 0o600); err != nil {
			t.Fatal(err)
		}
		arguments = append(arguments, path)
	}
	out, err := exec.Command(program, arguments...).CombinedOutput()
	if err != nil && len(out) == 0 {
		t.Fatal(err)
	}
	return string(out)
}

// TestImageOfConfiguration: what the configuration says of the image reaches its builds.
func TestImageOfConfiguration(t *testing.T) {
	const base = "registry.example.com/debian@sha256:00"
	plain := string(render(t, settings(t, "", small)))
	set := string(render(t, settings(t, "}\nimage: {base: '"+base+"', docker: true, downloads: 'https://mirror.example.com/runners'", small)))
	for _, variable := range []string{
		`{ Name: BASE, Value: "` + base + `" }`, `{ Name: DOCKER, Value: "yes" }`, `{ Name: DOWNLOADS, Value: "https://mirror.example.com/runners" }`,
	} {
		if !strings.Contains(set, variable) || strings.Contains(plain, variable) {
			t.Errorf("%s: want it where it is configured, and there only", variable)
		}
	}
}

// TestKeepData: what is kept is the bus with its archive, and every log group; without being asked
// for, the source only.
func TestKeepData(t *testing.T) {
	kept := settings(t, "", small)
	kept.KeepData = true
	if n := bytes.Count(render(t, settings(t, "", small)), []byte("DeletionPolicy: Retain")); n != 1 {
		t.Errorf("%d resources are kept that nobody asked for: want the source alone", n)
	}
	body := string(render(t, kept))
	types, err := stack.Resources([]byte(body))
	if err != nil {
		t.Fatal(err)
	}
	for id, kind := range types {
		_, rest, _ := strings.Cut(body, "\n  "+id+":")
		resource, _, _ := strings.Cut(rest, "\n    Properties:")
		want := kind == "AWS::CodeCommit::Repository" || kind == "AWS::Events::EventBus" || kind == "AWS::Events::Archive" || kind == "AWS::Logs::LogGroup"
		if got := strings.Contains(resource, "\n    DeletionPolicy: Retain\n    UpdateReplacePolicy: Retain"); got != want {
			t.Errorf("%s, a %s: kept %t", id, kind, got)
		}
	}
}
