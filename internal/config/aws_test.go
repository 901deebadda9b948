package config_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mayfly-ci/mayfly/internal/config"
	"github.com/mayfly-ci/mayfly/internal/pool"
)

// onAWS is a file for AWS; more goes into its section aws, and into its pool.
func onAWS(more, inPool string) string {
	return "platform: aws\naws: {" + more + "}\n" + good[:len(good)-2] + inPool + "}\n"
}

func TestAWSDefaults(t *testing.T) {
	c := parse(t, onAWS("", ""))
	want := config.AWS{
		Stack: "mayfly", Source: "codecommit", PublicIPs: true, RetentionDays: 30,
		Hosts: config.Hosts{
			AMD64Types: []string{"m7i.large", "m7a.large", "m6i.large"}, ARM64Types: []string{"m7g.large", "m6g.large"},
			Max: 10, Disk: 50 << 30, Renew: 14,
		},
		QuietHours: 72, Archive: true, Schemas: true, Organization: config.Organization{RolePath: "/", CIDR: "10.77.0.0/16", Zones: 2},
	}
	if diff := cmp.Diff(want, c.AWS); diff != "" {
		t.Error(diff)
	}
	if got := c.Pools[0].AWS.Architecture; got != config.AMD64 {
		t.Errorf("architecture %q", got)
	}
	if faults := c.CheckAWS(); len(faults) > 0 {
		t.Error(faults)
	}
}

// TestAWSFaults: what only AWS minds is a fault where the file is for AWS, and
// where someone asks.
func TestAWSFaults(t *testing.T) {
	for _, c := range []struct{ name, aws, inPool, want string }{
		{"upper case", "stack: Mayfly", "", `2:14: reading aws: stack name "Mayfly": want a-z, 0-9 and single dashes`},
		{"number first", "stack: 2fly", "", `stack name "2fly"`},
		{"two dashes", "stack: may--fly", "", `stack name "may--fly"`},
		{"dash at the end", "stack: mayfly-", "", `stack name "mayfly-"`},
		{"long", "stack: abcdefghijklmnopqrstu", "", `20 characters at most`},
		{"taken", "stack: ecs-runners", "", `reading aws: stack name "ecs-runners": ECS reserves names that begin with ecs: choose`},
		{"taken too", "stack: awsome", "", `reading aws: stack name "awsome": ECS reserves names that begin with aws: choose another`},
		{"region", "region: Frankfurt", "", `2:15: reading aws: region "Frankfurt": want one such as eu-central-1`},
		{"source", "source: git", "", `source "git": want codecommit or s3`},
		{"retention", "retention_days: 10", "", `retention_days 10: want a number of days that CloudWatch Logs has`},
		{"mail", "alarm_email: ops", "", `alarm_email "ops": want an address`},
		{"vpc alone", "vpc: vpc-0123456789abcdef0", "", `2:7: reading aws: vpc and subnets belong together: set both, or neither for a VPC that the`},
		{"subnets alone", "subnets: [subnet-0123456789abcdef0]", "", `reading aws: vpc and subnets belong together: set both, or neither for a VPC that the`},
		{"vpc", "vpc: mine, subnets: [subnet-0123456789abcdef0]", "", `vpc "mine": want an id such as`},
		{"subnet", "vpc: vpc-0123456789abcdef0, subnets: [a]", "", `2:45: reading aws: subnet "a": want different ids`},
		{"subnet twice", "vpc: vpc-01234567, subnets: [subnet-01234567, subnet-01234567]", "", `subnet "subnet-01234567": want different ids`},
		{"quiet for ever", "alarm_quiet_hours: 200", "", `2:26: reading aws: alarm_quiet_hours 200`},
		{"AWS's tag", "tags: {'aws:x': y}", "", `tag "aws:x": "y"`},
		{"own tag", "tags: {'mayfly:stack': y}", "", `tag "mayfly:stack": "y"`},
		{"odd tag", "tags: {'a{b': y}", "", `tag "a{b": "y"`},
		{"boundary", "permissions_boundary: mine", "", `2:29: reading aws: permissions_boundary "mine": want the ARN`},
		{"path", "role_path: ci", "", `role_path "ci": want a path between slashes`},
		{"addresses", "cidr: 10.77.1.0/16", "", `cidr "10.77.1.0/16": want the first address`},
		{"many addresses", "cidr: 10.0.0.0/8", "", `cidr "10.0.0.0/8"`},
		{"zones", "zones: 4", "", `zones 4: want 1 to 3`},
		{"group without VPC", "security_groups: [sg-0123456789abcdef0]", "", `security_groups without vpc`},
		{"group", "vpc: vpc-01234567, subnets: [subnet-01234567], security_groups: [web]", "", `security group "web"`},
		{"warm hosts of several types", "hosts: {warm: 1}", "", `warm 1: AWS keeps no stopped hosts of several instance types`},
		{"cron", "hosts: {schedule: [{cron: daily, min: 1}]}", "", `cron "daily": want minute`},
		{"time zone", "hosts: {schedule: [{cron: 0 8 * * *, min: 1, time_zone: Berlin}]}", "", `time_zone "Berlin"`},
		{"scheduled above max", "hosts: {schedule: [{cron: 0 8 * * *, min: 11}]}", "", `min 11 is more than max 10`},
		{"machine image", "hosts: {image: 'my image'}", "", `image "my image": want an id`},
		{"own hosts of nothing", "", ", aws: {hosts: {gpus: 1}}", `hosts without types or vcpus`},
		{"own hosts twice", "", ", aws: {hosts: {types: [c7i.large], vcpus: 2}}", `hosts with types and vcpus`},
		{"own hosts of another kind", "", ", aws: {hosts: {types: [c7g.large]}}", `types "c7g.large": want different types for amd64`},
		{"GPUs on arm64", "", ", aws: {architecture: arm64, hosts: {vcpus: 4, gpus: 1}}", `gpus on arm64`},
		{"exec and read-only", "", ", read_only_root: true, aws: {exec: true}", `exec with read_only_root`},
		{"no way out", "public_addresses: false", "", `public_addresses false without vpc`},
		{"functions in the stack's own VPC", "functions_in_vpc: true", "", `2:25: reading aws: functions_in_vpc without vpc: the VPC that the stack creates has only public`},
		{"functions beside public hosts", "vpc: vpc-01234567, subnets: [subnet-01234567], functions_in_vpc: true", "", `reading aws: functions_in_vpc with public_addresses: in subnets where hosts need public`},
		{"min", "hosts: {min: 11}", "", `min 11 is more than max 10`},
		{"base", "hosts: {spot: true, on_demand_base: 11}", "", `on_demand_base 11 is more than max 10`},
		{"small disk", "hosts: {disk: 20GiB}", "", `disk 20GiB: want whole GiB, 30GiB at least`},
		{"odd disk", "hosts: {disk: 50.5GiB}", "", `want whole GiB`},
		{"no types", "hosts: {arm64_types: []}", "", `arm64_types is empty`},
		{"no type", "hosts: {amd64_types: [large]}", "", `amd64_types "large": want different types for amd64`},
		{"arm among others", "hosts: {amd64_types: [m7i.large, c7gn.large]}", "", `amd64_types "c7gn.large": want different types for amd64`},
		{"others among arm", "hosts: {arm64_types: [g5.xlarge]}", "", `arm64_types "g5.xlarge": want different types for arm64`},
		{"type twice", "hosts: {arm64_types: [a1.large, a1.large]}", "", `arm64_types "a1.large": want different types`},
		{"host's network", "", ", network: host", `reading pool "small": network host is not supported on AWS, because jobs would get their`},
		{"no network", "", ", network: none", `reading pool "small": network none is not supported on AWS, because runners claim over`},
		{"sudo", "", ", privileges: sudo", `reading pool "small": privileges sudo is not supported on AWS: runners share their hosts`},
		{"docker", "", ", docker: engine", `reading pool "small": docker engine is not supported on AWS, because an ECS task cannot`},
		{"runtime", "", ", runtime: runsc", `reading pool "small": runtime "runsc" is not supported on AWS, because an ECS task cannot`},
		{"little", "", ", cpus: 0.1", `reading pool "small": cpus 0.1: want 0.125 to 192, the limits of ECS`},
		{"much", "", ", cpus: 193", `reading pool "small": cpus 193: want 0.125 to 192, the limits of ECS`},
		{"odd memory", "", ", memory: 4GB", `reading pool "small": memory 4GB: want a whole number of MiB, the unit of ECS, and at`},
		{"policy", "", ", aws: {policies: [AdministratorAccess]}", `policy "AdministratorAccess": want the ARN of an IAM policy`},
		{"architecture", "", ", aws: {architecture: x86}", `architecture "x86": want amd64 or arm64`},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := config.Parse("m.yaml", []byte(onAWS(c.aws, c.inPool)))
			var faults config.Faults
			if !errors.As(err, &faults) || len(faults) != 1 || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%v\nwant %s", err, c.want)
			}
		})
	}
	c, err := config.Parse("m.yaml", []byte(strings.Replace(onAWS("", ", network: host"), "platform: aws", "", 1)))
	if err != nil {
		t.Fatalf("a file for this machine: %v", err)
	}
	if faults := c.CheckAWS(); len(faults) != 1 || faults[0].Line != 6 {
		t.Errorf("%v, want one fault in line 6", faults)
	}
}

func TestLintAWS(t *testing.T) {
	for _, c := range []struct{ name, aws, inPool, want string }{
		{"good", "", "", ""},
		{"a size that fits", "hosts: {amd64_types: [r7i.xlarge]}", ", cpus: 4, memory: 29GiB", ""},
		{"unknown sizes", "hosts: {amd64_types: [p5.48xlarge, m7i.metal]}", ", cpus: 100, memory: 1TiB", ""},
		{"another architecture", "hosts: {arm64_types: [c7g.medium]}", "", ""},
		{"cpus", "", ", cpus: 4", `pool "small" never gets a runner: cpus 4 and memory 4GiB do not fit on a m7i.large, which`},
		{"memory", "hosts: {amd64_types: [c7i.large]}", "", `pool "small" never gets a runner: cpus 2 and memory 4GiB do not fit on a c7i.large, which`},
		{"the smallest", "hosts: {amd64_types: [m7i.2xlarge, m7i.large]}", ", cpus: 8", `2:42: pool "small" never gets`},
		{"arm", "hosts: {arm64_types: [m7g.medium]}", ", aws: {architecture: arm64}", `pool "small" never gets a runner: cpus 2 and memory 4GiB do not fit on a m7g.medium`},
		{"base without spot", "hosts: {on_demand_base: 1}", "", `on_demand_base 1 without spot`},
		{"one subnet", "vpc: vpc-01234567, subnets: [subnet-01234567]", "", `aws: only one subnet: no host starts while its availability zone has no capacity: use two`},
		{"canary at the forge", "}\nimage: {canary_repository: acme/canary", "", `image.canary_repository has no effect on AWS: the canary runs as part of the build, not`},
	} {
		t.Run(c.name, func(t *testing.T) {
			src := strings.Replace(onAWS(c.aws, c.inPool), "webhook: {", "webhook: {at: acme, ", 1)
			got := parse(t, src).Lint(pool.Resources{CPUs: 1, Memory: 1}) // of this machine, which does not matter
			if (c.want == "") != (len(got) == 0) || !strings.Contains(got.Error(), c.want) {
				t.Errorf("warnings %v, want %q", got, c.want)
			}
		})
	}
}
