package config

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"
)

// Hosts are the EC2 instances of an architecture.
type Hosts struct {
	AMD64Types   []string `yaml:"amd64_types" default:"m7i.large, m7a.large, m6i.large" doc:"Instance types, preferred ones first. Use one size: ECS plans with the smallest."`
	ARM64Types   []string `yaml:"arm64_types" default:"m7g.large, m6g.large" doc:"The same, for arm64."`
	Min          int      `yaml:"min" min:"0" default:"0" doc:"How many hosts of each architecture always run. They cost by the hour, but jobs on them start in seconds instead of minutes."`
	Max          int      `yaml:"max" min:"1" default:"10" doc:"The most hosts of each architecture at once."`
	Spot         bool     `yaml:"spot" default:"false" doc:"Use spot capacity above on_demand_base. It costs less, but AWS may end a host and its jobs at two minutes' notice."`
	OnDemandBase int      `yaml:"on_demand_base" min:"0" default:"0" doc:"With spot: how many hosts are on-demand before the first spot host."`
	Disk         Bytes    `yaml:"disk" default:"50GiB" doc:"The size of a host's encrypted disk, for images and for data of jobs."`
	Step         int      `yaml:"step" min:"0" default:"0" doc:"The most hosts that one step of scaling adds; AWS takes a step about once a minute. 0 means up to max."`
	Renew        int      `yaml:"renew_days" min:"1" default:"14" doc:"Replace a host after so many days, once no job runs on it, so that hosts of min get AWS's newest image."`
	Warm         int      `yaml:"warm" min:"0" default:"0" doc:"How many stopped hosts to keep ready beside those that run: they start faster, and cost their disks. Needs one instance type, and no spot."`
	Schedule     []Hours  `yaml:"schedule" doc:"Other values of min at certain times."`
	Sessions     bool     `yaml:"session_manager" default:"false" doc:"Let people with the permission open a shell on hosts with AWS Systems Manager. Such a shell can see everything that jobs on the host do."`
	Machine
}

// A Machine is what a host boots. It is set for all hosts, or for those of one pool.
type Machine struct {
	Image    string `yaml:"image" doc:"The machine image of hosts, with Docker and the ECS agent: an id such as ami-0123456789abcdef0, or the name of an SSM parameter that has one. By default AWS's newest for ECS on Amazon Linux 2023."`
	UserData string `yaml:"user_data" doc:"Lines of bash that a host runs as root at each boot, before Docker starts."`
}

// Hours set a new minimum of hosts at recurring times.
type Hours struct {
	Cron string `yaml:"cron" required:"yes" doc:"When, as in cron: minute, hour, day, month, weekday, such as 0 8 * * 1-5."`
	Zone string `yaml:"time_zone" default:"UTC" doc:"The time zone of cron, such as Europe/Berlin."`
	Min  int    `yaml:"min" min:"0" required:"yes" doc:"The value of min from then on."`
}

// Types returns the instance types of an architecture.
func (h Hosts) Types(architecture string) []string {
	if architecture == ARM64 {
		return h.ARM64Types
	}
	return h.AMD64Types
}

// PoolOnAWS has the settings of a pool that apply on AWS only.
type PoolOnAWS struct {
	Architecture string   `yaml:"architecture" default:"amd64" enum:"amd64|arm64" doc:"The processor architecture of the pool's hosts."`
	Policies     []string `yaml:"policies" doc:"ARNs of IAM policies for the pool's jobs. By default jobs may do nothing on AWS."`
	Exec         bool     `yaml:"exec" default:"false" doc:"Let people with the permission open a shell in a runner with ECS Exec. Such a shell can see everything that the job does."`
	Hosts        OwnHosts `yaml:"hosts" doc:"Hosts for this pool alone, if types or vcpus are set. By default the pool shares aws.hosts."`
}

// OwnHosts are hosts for one pool only.
type OwnHosts struct {
	Types  []string `yaml:"types" doc:"Instance types, preferred ones first, such as g6.xlarge. Use one size: ECS plans with the smallest."`
	VCPUs  int      `yaml:"vcpus" min:"0" default:"0" doc:"In place of types: any current instance type with at least so many processors."`
	Memory Bytes    `yaml:"memory" doc:"With vcpus: and at least so much memory."`
	GPUs   int      `yaml:"gpus" min:"0" default:"0" doc:"GPUs of NVIDIA for each runner. Hosts get AWS's image with their driver."`
	Min    int      `yaml:"min" min:"0" default:"0" doc:"As in aws.hosts."`
	Max    int      `yaml:"max" min:"0" default:"0" doc:"As in aws.hosts; 0 means the same."`
	Spot   bool     `yaml:"spot" default:"false" doc:"As in aws.hosts."`
	Base   int      `yaml:"on_demand_base" min:"0" default:"0" doc:"As in aws.hosts."`
	Disk   Bytes    `yaml:"disk" doc:"As in aws.hosts; by default the same."`
	Machine
}

// Own reports whether the pool has its own hosts.
func (o OwnHosts) Own() bool { return len(o.Types) > 0 || o.VCPUs > 0 }

// leastDisk is the size of the machine image of an ECS host.
const leastDisk = 30 << 30

func (h Hosts) check(d *decoder) {
	if h.Min > h.Max {
		d.faultAt("aws.hosts.min", "reading aws.hosts: min %d is more than max %d", h.Min, h.Max)
	}
	if h.OnDemandBase > h.Max {
		d.faultAt("aws.hosts.on_demand_base", "reading aws.hosts: on_demand_base %d is more than max %d", h.OnDemandBase, h.Max)
	}
	if h.Disk < leastDisk || h.Disk%(1<<30) != 0 {
		d.faultAt("aws.hosts.disk", "reading aws.hosts: disk %v: want whole GiB, %v at least", h.Disk, Bytes(leastDisk))
	}
	for _, architecture := range []string{AMD64, ARM64} {
		at, types := "aws.hosts."+architecture+"_types", h.Types(architecture)
		if len(types) == 0 {
			d.faultAt(at, "reading aws.hosts: %s_types is empty: want one at least", architecture)
		}
		checkTypes(d, at, "aws.hosts: "+architecture+"_types", types, architecture)
	}
	h.Machine.check(d, "aws.hosts", "reading aws.hosts: ")
	h.checkSchedule(d)
}

func (h Hosts) checkSchedule(d *decoder) {
	if h.Warm > 0 && (h.Spot || len(h.AMD64Types) > 1 || len(h.ARM64Types) > 1) {
		// https://docs.aws.amazon.com/autoscaling/ec2/userguide/ec2-auto-scaling-warm-pools.html#warm-pools-limitations
		d.faultAt("aws.hosts.warm", "reading aws.hosts: warm %d: AWS keeps no stopped hosts of several instance types or of spot: want one of amd64_types, one of arm64_types, and no spot", h.Warm)
	}
	for i, hours := range h.Schedule {
		at := fmt.Sprintf("aws.hosts.schedule[%d]", i)
		if len(strings.Fields(hours.Cron)) != 5 || !regexp.MustCompile(`^[\dA-Za-z*,/ -]+$`).MatchString(hours.Cron) {
			d.faultAt(at+".cron", "reading aws.hosts: cron %q: want minute, hour, day, month and weekday, such as 0 8 * * 1-5", hours.Cron)
		}
		if _, err := time.LoadLocation(hours.Zone); err != nil || hours.Zone == "" || hours.Zone == "Local" {
			d.faultAt(at+".time_zone", "reading aws.hosts: time_zone %q: want one such as Europe/Berlin", hours.Zone)
		}
		if hours.Min > h.Max {
			d.faultAt(at+".min", "reading aws.hosts: min %d is more than max %d", hours.Min, h.Max)
		}
	}
}

func checkTypes(d *decoder, at, key string, types []string, architecture string) {
	for i, t := range types {
		if of, ok := architectureOf(t); !ok || of != architecture || slices.Contains(types[:i], t) {
			d.faultAt(fmt.Sprintf("%s[%d]", at, i), "reading %s %q: want different types for %s", key, t, architecture)
		}
	}
}

func (m Machine) check(d *decoder, at, in string) {
	if m.Image != "" && !regexp.MustCompile(`^(ami-[0-9a-f]{8,17}|/?[A-Za-z0-9_.-]+(/[A-Za-z0-9_.-]+)*)$`).MatchString(m.Image) {
		d.faultAt(at+".image", "%simage %q: want an id such as ami-0123456789abcdef0, or the name of an SSM parameter", in, m.Image)
	}
	// https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/instancedata-add-user-data.html
	if len(m.UserData) > 12<<10 {
		d.faultAt(at+".user_data", "%suser_data has %d bytes: EC2 takes 16 KiB of it, with what Mayfly adds: want 12 KiB at most", in, len(m.UserData))
	}
}

// check finds mistakes in a pool's own hosts.
func (o OwnHosts) check(d *decoder, at, in, architecture string) {
	switch {
	case !o.Own():
		if o.GPUs > 0 || o.Memory > 0 || o.Min > 0 || o.Max > 0 || o.Disk > 0 || o.Spot || o.Machine != (Machine{}) {
			d.faultAt(at, "%shosts without types or vcpus: the pool shares aws.hosts: want one of these", in)
		}
		return
	case len(o.Types) > 0 && o.VCPUs > 0:
		d.faultAt(at, "%shosts with types and vcpus: want one of them", in)
	case o.GPUs > 0 && architecture == ARM64:
		d.faultAt(at+".gpus", "%sgpus on arm64: AWS has no image of hosts for these: want amd64", in)
	case o.Max > 0 && o.Min > o.Max:
		d.faultAt(at+".min", "%smin %d is more than max %d", in, o.Min, o.Max)
	case o.Disk > 0 && (o.Disk < leastDisk || o.Disk%(1<<30) != 0):
		d.faultAt(at+".disk", "%sdisk %v: want whole GiB, %v at least", in, o.Disk, Bytes(leastDisk))
	}
	checkTypes(d, at+".types", "aws.hosts: types", o.Types, architecture)
	o.Machine.check(d, at, in)
}
