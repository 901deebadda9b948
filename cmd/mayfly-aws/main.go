// Command mayfly-aws is the part of mayfly that works on AWS. mayfly starts it, with the same
// arguments, for deploy, destroy, doctor and each command that is about a stack, so that the program
// of one machine links nothing of AWS. The common command line is internal/tool; deploy.go, destroy.go
// and doctor.go have the commands of their own, image.go and replay.go what the others do on AWS.
package main

import (
	"errors"
	"os"

	"github.com/mayfly-ci/mayfly/internal/aws/refusal"
	"github.com/mayfly-ci/mayfly/internal/cli"
	"github.com/mayfly-ci/mayfly/internal/tool"
)

// version is set by the linker.
var version = "unknown"

// commands is the command line: flags, environment variables and help are its tags.
type commands struct {
	tool.Globals

	Deploy  deployCmd  `cmd:"" help:"Deploy Mayfly to AWS, or update the stack to match the configuration."`
	Destroy destroyCmd `cmd:"" help:"Remove Mayfly from AWS, and verify that nothing is left."`
	Doctor  doctorCmd  `cmd:"" help:"Check a stack on AWS for what keeps jobs from their runners, in an output that can be pasted into an issue."`
	Image   struct {
		tool.ImageCommands
	} `cmd:"" help:"Build, list and promote the images that runners start from."`

	tool.Lists
}

func main() {
	var c commands
	os.Exit(tool.Run(os.Args[1:], tool.Program{
		Version: version, Description: "The part of mayfly that works on AWS; mayfly starts it.", Platform: onAWS{}, Explain: explain,
	}, &c, &c.Globals))
}

// explain gives the errors of AWS their hints and code.
func explain(err error) error {
	hint, ok := refusal.Of(err)
	if !ok || errors.As(err, new(*cli.Fault)) {
		return err
	}
	return cli.Hint(cli.WithCode(errors.New(refusal.Words(err)), cli.ExitAWS), "%s", hint)
}
