package machine

import (
	"github.com/mayfly-ci/mayfly/internal/bus"
	"github.com/mayfly-ci/mayfly/internal/bus/target"
	"github.com/mayfly-ci/mayfly/internal/config"
	"github.com/mayfly-ci/mayfly/internal/secret"
)

// Outside is the rules of the configuration, and what they lead to.
type Outside struct {
	Rules   []bus.Rule
	Targets map[string]bus.Target // by name; the machine's own are not among them
}

// NewOutside makes a configuration's rules and their targets. keys sign what goes to rule
// after rule; without them, which commands that deliver nothing do not need, nothing is signed.
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

// targetOf makes the target of a rule that leads outside.
func targetOf(c *config.Config, r config.Rule, key secret.Secret) bus.Target {
	transformer, err := r.Input.Transformer()
	if err != nil {
		panic(err) // a configuration with such a rule is not read
	}
	input := target.Input{Rule: r.Name, Transformer: transformer}
	if r.Target == "command" {
		return target.Command(target.CommandConfig{Input: input, Command: r.Command, Dir: c.Abs("."), Timeout: r.Timeout})
	}
	return target.HTTP(target.HTTPConfig{Input: input, URL: r.URL, Secret: key, Timeout: r.Timeout})
}
