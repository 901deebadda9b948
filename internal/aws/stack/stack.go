// Package stack has the CloudFormation template of the AWS side. [Render] renders it from
// mayfly.yaml, and [Lint] checks it for mistakes that no other tool finds.
//
// template.yaml is the template, in the order in which a job passes through it; pool.yaml,
// hosts.yaml and build.yaml are its parts for each pool, group of hosts and architecture. The
// package needs no SDK and does no I/O, so that it works, and can be tested, without AWS;
// aws/deploy creates the stack.
package stack

import (
	"bytes"
	"embed"
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"text/template"

	"github.com/mayfly-ci/mayfly/internal/config"
	"github.com/mayfly-ci/mayfly/internal/pool"
)

// Settings are the input of [Render].
type Settings struct {
	config.AWS
	Pools []Pool
	Image config.Image // the image that the stack builds

	// GitHubPort is the port of GitHub if that is not 443. Functions in the VPC can connect only
	// to these two.
	GitHubPort string

	// KeepData keeps the bus, its archive and the logs when the stack is deleted. The bus is
	// kept because an archive can be replayed only to the bus that it came from.
	KeepData bool
}

// A Pool is a pool on AWS. An empty Image means the one that the stack builds.
type Pool struct {
	pool.Pool
	config.PoolOnAWS
}

// Of returns the settings of c for AWS. The error is [config.Faults].
func Of(c *config.Config) (Settings, error) {
	if faults := c.CheckAWS(); len(faults) > 0 {
		return Settings{}, faults
	}
	s := Settings{AWS: c.AWS, Image: c.Image}
	if u, err := url.Parse(c.GitHub.URL); err == nil { // package github reports an invalid address
		s.GitHubPort = u.Port()
	}
	for i, p := range c.PoolSet() {
		s.Pools = append(s.Pools, Pool{p, c.Pools[i].AWS})
	}
	return s, nil
}

// Limits of CloudFormation.
// https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/cloudformation-limits.html
const (
	MaxInline = 51_200    // bytes of a template in a request
	MaxBody   = 1_048_576 // bytes of a template in S3
)

// maxPools keeps the rules within the default quota of a bus, 100: each pool has two.
// https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-quota.html
const maxPools = 40

// A Template is a rendered template.
type Template struct {
	Body   []byte // YAML
	Inline bool   // whether it is small enough for a request; if not, it goes through S3
}

//go:embed template.yaml pool.yaml hosts.yaml build.yaml queues.yaml parts.yaml
var files embed.FS

// Render returns the template for s. The same settings give the same bytes, so that a deploy
// without changes changes nothing. The error lists all mistakes in s.
func Render(s Settings) (Template, error) {
	if err := Check(s); err != nil {
		return Template{}, err
	}
	t, err := template.New("template.yaml").Funcs(functions()).ParseFS(files, "*.yaml")
	if err != nil {
		return Template{}, fmt.Errorf("reading the stack's template: %w", err)
	}
	var body bytes.Buffer
	if err := t.Execute(&body, viewOf(s)); err != nil {
		return Template{}, fmt.Errorf("rendering the stack's template: %w", err)
	}
	switch faults, err := Lint(body.Bytes()); {
	case err != nil:
		return Template{}, err
	case len(faults) > 0:
		return Template{}, fmt.Errorf("rendering the stack's template: %w: this is a bug in mayfly", faults)
	}
	if body.Len() > MaxBody {
		return Template{}, fmt.Errorf("rendering the stack's template: %d bytes: CloudFormation takes at most %d: use fewer pools", body.Len(), MaxBody)
	}
	return Template{Body: body.Bytes(), Inline: body.Len() <= MaxInline}, nil
}

// Check reports mistakes in s that [config.Config.CheckAWS] cannot find in the file: in a stack
// name given as a flag, and pools that cannot be in one stack.
func Check(s Settings) error {
	faults := []error{config.CheckStackName(s.Stack)}
	if n := len(s.Pools); n == 0 || n > maxPools {
		faults = append(faults, fmt.Errorf("%d pools: want 1 to %d: EventBridge has 100 rules for a bus", n, maxPools))
	}
	for i, p := range s.Pools {
		if !regexp.MustCompile(`^[a-z0-9]([a-z0-9-]*[a-z0-9])?$`).MatchString(p.Name) {
			faults = append(faults, fmt.Errorf("pool name %q: want a-z, 0-9 and dashes between them", p.Name))
		}
		same := func(o Pool) bool { return poolID(o.Name) == poolID(p.Name) }
		if j := slices.IndexFunc(s.Pools[:i], same); j >= 0 {
			faults = append(faults, fmt.Errorf("pools %q and %q: CloudFormation cannot distinguish these names: rename one of them", s.Pools[j].Name, p.Name))
		}
	}
	return errors.Join(faults...)
}
