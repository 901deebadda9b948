package engine

import (
	"fmt"
	"io"
	"regexp"
	"strings"
)

// maxLines is how many lines of a failing step are told with the failure.
const maxLines = 20

// A BuildError is a build that failed.
type BuildError struct {
	Step   string   // of the Dockerfile, such as "STEP 3/6: RUN …"; "" before the first
	Lines  []string // that it printed last
	Reason string   // in the engine's words
}

// Error is in several lines: the output of the step tells more than its exit code.
func (e *BuildError) Error() string {
	text := e.Reason
	if e.Step != "" {
		text = fmt.Sprintf("%s: %s", clip(e.Step), reasons.ReplaceAllString(text, "$1"))
	}
	for _, line := range e.Lines {
		text += "\n  | " + line
	}
	return text
}

// reasons are what engines say of a failed step: Podman and Docker put all of its text
// before what happened.
var reasons = regexp.MustCompile(`(?s)^(?:building at STEP .*": |The command .*' )(.+)$`)

// clip cuts the text of a step, which may be a program of many lines.
func clip(step string) string {
	const most = 100
	step = strings.Join(strings.Fields(step), " ")
	if len(step) <= most {
		return step
	}
	return strings.ToValidUTF8(step[:most], "") + " …"
}

// steps begins a step: "Step 3/6 : RUN …" says Docker, "[2/2] STEP 3/6: RUN …" Podman.
var steps = regexp.MustCompile(`^(?:\[\d+/\d+\] )?(?i:step) \d+/\d+ ?: `)

// colours are what Docker puts around what a step says on standard error, and noise is
// what engines say of their own work.
var (
	colours = regexp.MustCompile(`\x1b\[[0-9;]*m`)
	noise   = regexp.MustCompile(`^(?: ?--->? |Removing intermediate container )`)
)

// A buildLog passes on what a build prints and remembers the end of it.
type buildLog struct {
	w    io.Writer
	err  error  // of w, after which nothing is written there
	part string // of a line that is not complete
	step string
	last []string // lines of the step, the last of them
}

func (l *buildLog) write(text string) {
	if l.err == nil {
		_, l.err = io.WriteString(l.w, text)
	}
	lines := strings.Split(l.part+text, "\n")
	l.part = lines[len(lines)-1]
	for _, line := range lines[:len(lines)-1] {
		l.line(strings.TrimRight(line, "\r"))
	}
}

func (l *buildLog) line(line string) {
	line = colours.ReplaceAllString(line, "")
	switch {
	case steps.MatchString(line):
		l.step, l.last = line, nil
	case line != "" && !noise.MatchString(line):
		l.last = append(l.last, line)
		l.last = l.last[max(0, len(l.last)-maxLines):]
	}
}

// failed is the error of a build that ended with reason.
func (l *buildLog) failed(reason string) *BuildError {
	if l.part != "" {
		l.write("\n")
	}
	return &BuildError{Step: l.step, Lines: l.last, Reason: strings.TrimSpace(reason)}
}
