package workflow

import "regexp"

// uses matches what GitHub takes for the action of a step.
// https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-syntax#jobsjob_idstepsuses
var uses = regexp.MustCompile(`^(?:docker://\S+|\./\S*|[\w.-]+/[\w.-]+(?:/[^@\s]+)?@\S+)$`)

// usable reports whether text names an action, or could.
func usable(text string) bool { return uses.MatchString(text) }
