package tool

import (
	"fmt"
	"strings"

	"github.com/mayfly-ci/mayfly/internal/cli"
	"github.com/mayfly-ci/mayfly/internal/forge"
)

// PrintManual prints what to enter by hand. The secret is not printed: it is where
// the configuration says.
func PrintManual(screen *cli.Screen, m forge.Manual) {
	fmt.Fprintf(screen.Out, "The forge has no call for this webhook. Enter on %s:\n\n", m.Page)
	active := "yes"
	if !m.Active {
		active = "no"
	}
	for _, f := range [][2]string{
		{"Payload URL", m.PayloadURL}, {"Content type", m.ContentType},
		{"Secret", "the first of webhook.secrets in the configuration"},
		{"SSL verification", m.SSL}, {"Events", strings.Join(m.Events, ", ")}, {"Active", active},
	} {
		fmt.Fprintf(screen.Out, "  %-17s %s\n", f[0], f[1])
	}
}
