package stack

import (
	"cmp"
	"encoding/binary"
	"net/netip"
	"slices"
	"strings"

	"github.com/mayfly-ci/mayfly/internal/config"
)

// A hostsView is the data of hosts.yaml: a group of hosts, for an architecture or for one pool.
type hostsView struct {
	config.Hosts
	config.Organization
	ID, Name, For  string   // Amd64, amd64, amd64; PoolGpu, pool-gpu, pool gpu
	Types          []string // empty if the next two choose the hosts
	VCPUs, GPUs    int
	MemoryMiB      int64
	ImageID        string // id of the machine image; "" if ImageParameter names it
	ImageParameter string // the SSM parameter with the id of the machine image
	UserLines      []string
	PIDs           int   // of a task: as many as the pool with the most
	DiskGiB        int64 // of a host
	RenewSeconds   int
	PublicIPs      bool
	OwnSubnets     []string
	Tagged         []string // kinds of resources that a group makes
}

// A buildView is the data of build.yaml.
type buildView struct {
	ID, Architecture      string // Amd64, amd64
	BuildType, BuildImage string
	Image                 config.Image
	CodeCommit            bool // whether CodeCommit has the source; else S3
}

// Names of the SSM parameters with AWS's machine images for ECS.
// https://docs.aws.amazon.com/AmazonECS/latest/developerguide/retrieve-ecs-optimized_AMI.html
const (
	imageAMD64 = "/aws/service/ecs/optimized-ami/amazon-linux-2023/recommended/image_id"
	imageARM64 = "/aws/service/ecs/optimized-ami/amazon-linux-2023/arm64/recommended/image_id"
	imageGPU   = "/aws/service/ecs/optimized-ami/amazon-linux-2023/gpu/recommended/image_id"
)

// hostsOf returns the groups of hosts: one for each architecture whose pools share hosts, and one for
// each pool with its own.
func hostsOf(s Settings, subnets []string) (all []hostsView) {
	for _, architecture := range s.Architectures() {
		h := groupOf(s, architecture, subnets)
		for _, p := range s.Pools {
			if p.Architecture == architecture && !p.PoolOnAWS.Hosts.Own() {
				h.PIDs = max(h.PIDs, p.PIDs)
			}
		}
		if h.PIDs > 0 {
			all = append(all, h)
		}
	}
	for _, p := range s.Pools {
		if p.PoolOnAWS.Hosts.Own() {
			all = append(all, ownGroup(groupOf(s, p.Architecture, subnets), p))
		}
	}
	return all
}

// groupOf returns the group that the pools of an architecture share.
func groupOf(s Settings, architecture string, subnets []string) hostsView {
	h := hostsView{
		Hosts: s.Hosts, Organization: s.Organization, ID: Suffix(architecture), Name: architecture, For: architecture, Types: s.Hosts.Types(architecture),
		DiskGiB: int64(s.Hosts.Disk >> 30), PublicIPs: s.PublicIPs, RenewSeconds: s.Hosts.Renew * 24 * 60 * 60, OwnSubnets: subnets,
		ImageParameter: map[string]string{config.AMD64: imageAMD64, config.ARM64: imageARM64}[architecture],
		Tagged:         []string{"instance", "volume", "network-interface"},
	}
	h.Step = cmp.Or(h.Step, h.Max)
	h.choose(s.Hosts.Machine)
	return h
}

// ownGroup returns the hosts of one pool. Settings that the pool leaves out are those of h.
func ownGroup(h hostsView, p Pool) hostsView {
	own := p.PoolOnAWS.Hosts
	h.ID, h.Name, h.For, h.PIDs = poolID(p.Name), "pool-"+p.Name, "pool "+p.Name, p.PIDs
	h.Types, h.VCPUs, h.MemoryMiB, h.GPUs = own.Types, own.VCPUs, int64(own.Memory>>20), own.GPUs
	h.Min, h.Spot, h.OnDemandBase, h.Warm, h.Schedule = own.Min, own.Spot, own.Base, 0, nil
	h.Max = cmp.Or(own.Max, h.Max)
	h.Step = min(h.Step, h.Max)
	if own.Disk > 0 {
		h.DiskGiB = int64(own.Disk >> 30)
	}
	if own.GPUs > 0 {
		h.ImageParameter = imageGPU
	}
	h.choose(own.Machine)
	return h
}

// choose replaces the group's machine image and commands by those of m, where m has them.
func (h *hostsView) choose(m config.Machine) {
	switch {
	case strings.HasPrefix(m.Image, "ami-"):
		h.ImageID = m.Image
	case m.Image != "":
		h.ImageID, h.ImageParameter = "", m.Image
	}
	if m.UserData != "" {
		// The template would substitute ${NAME}; ${!NAME} keeps it for the shell.
		h.UserLines = strings.Split(strings.TrimRight(strings.ReplaceAll(m.UserData, "${", "${!"), "\n"), "\n")
	}
}

// buildsOf returns the builds of the image, one for each architecture.
func buildsOf(s Settings) (all []buildView) {
	for _, architecture := range s.Architectures() {
		b := buildView{
			ID: Suffix(architecture), Architecture: architecture, Image: s.Image, CodeCommit: s.Source == "codecommit",
			BuildType: "LINUX_CONTAINER", BuildImage: "aws/codebuild/amazonlinux-x86_64-standard:5.0",
		}
		if architecture == config.ARM64 {
			b.BuildType, b.BuildImage = "ARM_CONTAINER", "aws/codebuild/amazonlinux-aarch64-standard:3.0"
		}
		all = append(all, b)
	}
	return all
}

// blocks divides the addresses of a VPC among zones: into halves for up to two, into quarters for three.
func blocks(cidr string, zones int) (all []string) {
	network, err := netip.ParsePrefix(cidr)
	if err != nil {
		return slices.Repeat([]string{cidr}, zones) // config reports what is wrong
	}
	bits := network.Bits() + 1
	if zones > 2 {
		bits++
	}
	first := network.Addr().As4()
	for i := range zones {
		var at [4]byte
		binary.BigEndian.PutUint32(at[:], binary.BigEndian.Uint32(first[:])+uint32(i)<<(32-bits))
		all = append(all, netip.PrefixFrom(netip.AddrFrom4(at), bits).String())
	}
	return all
}
