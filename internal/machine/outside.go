package machine

import (
	"github.com/mayfly-ci/mayfly/internal/bus"
	"github.com/mayfly-ci/mayfly/internal/bus/target"
	"github.com/mayfly-ci/mayfly/internal/config"
	"github.com/mayfly-ci/mayfly/internal/secret"
)

// Outside is the configuration's rules and their targets.
type Outside struct {
	Rules   []bus.Rule
	Targets map[string]bus.Target // by name, without the machine's own
}

// NewOutside returns a configuration's rules and their targets. Keys, one per rule, sign what is
// sent; without them, which commands that deliver nothing do not need, nothing is signed.
func NewOutside(c *config.Config, keys []secret.Secret) Outside {
	o := Outside{Targets: map[string]bus.Target{}}
	for i, r := range c.Rules {
		rule := bus.Rule{Name: r.Name, Pattern: r.Pattern, Target: r.Target, Workers: r.Workers, MaxAge: r.MaxAge}
		if r.Target != "log" {
			var key secret.Secret
			if keys != nil {
				key = keys[i]
			}
			rule.Target += " of " + r.Name
			o.Targets[rule.Target] = targetOf(c, r, key)
		}
		o.Rules = append(o.Rules, rule)
	}
	return o
}

// targetOf returns the target of a rule of the configuration.
func targetOf(c *config.Config, r config.Rule, key secret.Secret) bus.Target {
	transformer, err := r.Input.Transformer()
	if err != nil {
		panic(err) // reading the configuration checks it
	}
	input := target.Input{Rule: r.Name, Transformer: transformer}
	if r.Target == "command" {
		return target.Command(target.CommandConfig{Input: input, Command: r.Command, Dir: c.Abs("."), Timeout: r.Timeout})
	}
	return target.HTTP(target.HTTPConfig{Input: input, URL: r.URL, Secret: key, Timeout: r.Timeout})
}
