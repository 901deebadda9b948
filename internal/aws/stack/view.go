package stack

import (
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"regexp"
	"slices"
	"strings"
	"text/template"

	"github.com/mayfly-ci/mayfly/internal/aws/contract"
	"github.com/mayfly-ci/mayfly/internal/config"
	"github.com/mayfly-ci/mayfly/internal/pool"
)

// A view is the data of template.yaml.
type view struct {
	config.AWS
	KeepData      bool
	Pools         []poolView
	Hosts         []hostsView
	Builds        []buildView
	Roles         []string // logical ids of all task roles
	ForeignImages []string // ARNs of the repositories of pools' own images
	Alarms        []alarm
	OwnSubnets    []string
	SubnetBlocks  []string // addresses of the subnets
	Endpoints     []endpoint
	FunctionPorts []string // the ports to which functions in the VPC can connect
	Queues        []queue

	Memory                                      int // MiB of each function that works on the ledger
	LedgerTimeout, SweepTimeout, ReleaseTimeout int // seconds
}

// A poolView is the data of pool.yaml.
type poolView struct {
	Pool
	Site            config.Organization
	ID, Suffix      string // PoolSmall; Amd64
	HostsID         string // id of its group of hosts
	Role            string // logical id
	OwnRole         bool   // whether only this pool has the role
	Agent           string
	CPUArchitecture string // in ECS's terms
	CPUUnits        int    // 1024 to a processor
	MemoryMiB       int64
	TmpfsMiB        int64 // of each folder in memory
	SharedMiB       int64 // of /dev/shm
}

// An endpoint is a VPC endpoint of an AWS service.
type endpoint struct{ ID, Service string }

func viewOf(s Settings) view {
	v := view{AWS: s.AWS, KeepData: s.KeepData, Roles: []string{"TaskRole"}, OwnSubnets: []string{"A", "B", "C"}[:s.Zones], SubnetBlocks: blocks(s.CIDR, s.Zones),
		Queues: queues(s), Memory: ledgerMemory, LedgerTimeout: ledgerTimeout, SweepTimeout: sweepTimeout, ReleaseTimeout: releaseTimeout}
	for _, p := range s.Pools {
		pv := poolViewOf(p)
		pv.Site = s.Organization
		v.Pools = append(v.Pools, pv)
		if pv.Role != "TaskRole" {
			v.Roles = append(v.Roles, pv.Role)
		}
		if arn := repositoryOf(p.Image); arn != "" && !slices.Contains(v.ForeignImages, arn) {
			v.ForeignImages = append(v.ForeignImages, arn)
		}
	}
	v.Hosts, v.Builds = hostsOf(s, v.OwnSubnets), buildsOf(s)
	v.Alarms = alarms(s, v.Hosts, v.Builds)
	v.FunctionPorts = []string{"443"}
	if s.GitHubPort != "" && s.GitHubPort != "443" {
		v.FunctionPorts = append(v.FunctionPorts, s.GitHubPort)
	}
	if s.Endpoints {
		v.Endpoints = endpointsOf(s)
	}
	return v
}

// endpointsOf returns the endpoints for the services that hosts, and functions in the VPC, call.
// It leaves out gateway endpoints, which DynamoDB and S3 have, because they belong to route
// tables that the stack does not own.
func endpointsOf(s Settings) []endpoint {
	all := []endpoint{
		{"EcrApi", "ecr.api"}, {"EcrDkr", "ecr.dkr"}, {"Ecs", "ecs"}, {"EcsAgent", "ecs-agent"}, {"EcsTelemetry", "ecs-telemetry"}, {"Logs", "logs"},
	}
	if s.FunctionsInVPC {
		all = append(all, endpoint{"Events", "events"}, endpoint{"SecretsManager", "secretsmanager"}, endpoint{"Sqs", "sqs"})
	}
	return all
}

// Architectures returns the architectures of the pools' hosts.
func (s Settings) Architectures() (all []string) {
	for _, architecture := range []string{config.AMD64, config.ARM64} {
		if slices.ContainsFunc(s.Pools, func(p Pool) bool { return p.Architecture == architecture }) {
			all = append(all, architecture)
		}
	}
	return all
}

func poolViewOf(p Pool) poolView {
	v := poolView{
		Pool: p, ID: poolID(p.Name), Suffix: Suffix(p.Architecture), HostsID: Suffix(p.Architecture), Role: "TaskRole", Agent: contract.AgentPath,
		CPUArchitecture: map[string]string{config.AMD64: "X86_64", config.ARM64: "ARM64"}[p.Architecture],
		CPUUnits:        int(math.Round(p.Resources.CPUs * 1024)),
		MemoryMiB:       p.Resources.Memory >> 20,
		TmpfsMiB:        max(p.Resources.Memory>>22, 1),
		SharedMiB:       max(p.Setup.SharedMemory>>20, 1),
	}
	v.Setup.Ulimits = withFiles(p.Setup.Ulimits)
	if p.PoolOnAWS.Hosts.Own() {
		v.HostsID = v.ID
	}
	if v.OwnRole = len(p.Policies) > 0 || p.Exec; v.OwnRole {
		v.Role = v.ID + "Role"
	}
	return v
}

// withFiles adds Mayfly's default of nofile to limits without one, because that of ECS hosts is lower.
func withFiles(limits map[string]pool.Ulimit) map[string]pool.Ulimit {
	all := map[string]pool.Ulimit{"nofile": {Soft: pool.DefaultFiles, Hard: pool.DefaultFiles}}
	maps.Copy(all, limits)
	return all
}

// poolID returns the beginning of the logical ids of a pool's resources: PoolBigArm for big-arm.
// Logical ids may contain only letters and digits.
func poolID(name string) string {
	id := "Pool"
	for _, word := range strings.Split(name, "-") {
		id += capital(word)
	}
	return id
}

// Suffix returns the end of the logical ids, parameters and outputs of an architecture.
func Suffix(architecture string) string { return capital(architecture) }

func capital(word string) string {
	if word == "" {
		return ""
	}
	return strings.ToUpper(word[:1]) + word[1:]
}

// ecrImage is an image in a repository of ECR.
var ecrImage = regexp.MustCompile(`^(\d{12})\.dkr\.ecr\.([a-z0-9-]+)\.amazonaws\.com(?:\.cn)?/([^:@]+)`)

// repositoryOf returns the ARN of the ECR repository of image in the syntax of the template, or ""
// for another registry.
func repositoryOf(image string) string {
	m := ecrImage.FindStringSubmatch(image)
	if m == nil {
		return ""
	}
	return fmt.Sprintf(`!Sub "arn:${AWS::Partition}:ecr:%s:%s:repository/%s"`, m[2], m[1], m[3])
}

// functions returns the functions of the templates.
func functions() template.FuncMap {
	return template.FuncMap{
		"join":  func(list []string) string { return strings.Join(list, ", ") },
		"lower": strings.ToLower,
		"quote": quote,
		"invoked": func(function, rule string) map[string]string {
			return map[string]string{"Function": function, "Rule": rule}
		},
	}
}

// quote returns text as a YAML string: a JSON string is one.
func quote(text string) (string, error) {
	var b strings.Builder
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	err := encoder.Encode(text)
	return strings.TrimSuffix(b.String(), "\n"), err
}
