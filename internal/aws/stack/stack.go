// Package stack is the CloudFormation template of the AWS side: rendered from
// mayfly.yaml ([Render]), and held against what is known to go wrong with such
// templates and what no other tool sees ([Lint]).
//
// template.yaml is the template, in the order of the way of a job; pool.yaml, hosts.yaml
// and build.yaml are its parts for each pool, group of hosts and architecture. The package needs
// no SDK and does no I/O, so that a template can be made, read and judged where there
// is no AWS; aws/deploy brings it up.
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

// Settings are what a template is rendered from.
type Settings struct {
	config.AWS
	Pools []Pool
	Image config.Image // that the stack builds

	// GitHubPort is where GitHub listens, if not at 443: functions in the VPC have a way
	// out to these only.
	GitHubPort string

	// KeepData keeps the bus, its archive and the logs when the stack is deleted. An
	// archive can be replayed to the bus that it came from only.
	KeepData bool
}

// A Pool is a pool as it is on AWS. Its Image is empty for the image that the stack
// builds.
type Pool struct {
	pool.Pool
	config.PoolOnAWS
}

// Of returns the settings that c has for AWS. The error is [config.Faults].
func Of(c *config.Config) (Settings, error) {
	if faults := c.CheckAWS(); len(faults) > 0 {
		return Settings{}, faults
	}
	s := Settings{AWS: c.AWS, Image: c.Image}
	if u, err := url.Parse(c.GitHub.URL); err == nil { // the client of GitHub says what is wrong with it
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

// maxPools is what the rules of one bus allow: a pool has two, and there are 100 of
// them at first.
// https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-quota.html
const maxPools = 40

// A Template is a rendered template.
type Template struct {
	Body   []byte // YAML
	Inline bool   // it is small enough for a request; otherwise it goes through S3
}

//go:embed template.yaml pool.yaml hosts.yaml build.yaml queues.yaml parts.yaml
var files embed.FS

// Render makes the template of s: the same bytes of the same settings. What is wrong
// with s is all said at once.
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
		return Template{}, fmt.Errorf("rendering the stack's template: %w: mayfly should not have made it so", faults)
	}
	if body.Len() > MaxBody {
		return Template{}, fmt.Errorf("rendering the stack's template: %d bytes: CloudFormation takes %d: want fewer pools", body.Len(), MaxBody)
	}
	return Template{Body: body.Bytes(), Inline: body.Len() <= MaxInline}, nil
}

// Check says what is wrong with s beyond what [config.Config.CheckAWS] sees in the
// file: a name that came by a flag, and pools that do not go together in one stack.
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
			faults = append(faults, fmt.Errorf("pools %q and %q: CloudFormation cannot tell their names apart: want another for one of them", s.Pools[j].Name, p.Name))
		}
	}
	return errors.Join(faults...)
}
