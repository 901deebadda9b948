package event

// Names of Mayfly's own rules on a machine's bus. Configured rules must have other names.
const (
	RuleJobs   = "jobs"
	RuleLaunch = "launch"
	RuleRemove = "remove"
	RuleCheck  = "check"
)

// OwnRules returns these names, in the order of the rules.
func OwnRules() []string { return []string{RuleJobs, RuleLaunch, RuleRemove, RuleCheck} }
