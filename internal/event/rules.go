package event

// Names of Mayfly's own rules on a machine's bus, which no rule of the configuration may have.
const (
	RuleJobs   = "jobs"
	RuleLaunch = "launch"
	RuleRemove = "remove"
	RuleCheck  = "check"
)

// OwnRules are those names, in the order of the rules.
func OwnRules() []string { return []string{RuleJobs, RuleLaunch, RuleRemove, RuleCheck} }
