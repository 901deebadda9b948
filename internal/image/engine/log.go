package engine

import (
	"fmt"
	"io"
	"regexp"
	"strings"
)

// maxLines is how many lines of a failed step an error shows.
const maxLines = 20

// A BuildError is a build that failed.
type BuildError struct {
	Step   string   // of the Dockerfile, such as "STEP 3/6: RUN …"; "" before the first
	Lines  []string // its last output
	Reason string   // in the engine's words
}

// Error returns several lines, because the output of the step tells more than its exit code.
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

// reasons matches an engine's message about a failed step: Podman and Docker repeat the whole text
// of the step before the reason.
var reasons = regexp.MustCompile(`(?s)^(?:building at STEP .*": |The command .*' )(.+)$`)

// clip shortens the text of a step, which may be a program of many lines.
func clip(step string) string {
	const most = 100
	step = strings.Join(strings.Fields(step), " ")
	if len(step) <= most {
		return step
	}
	return strings.ToValidUTF8(step[:most], "") + " …"
}

// steps matches the beginning of a step: "Step 3/6 : RUN …" in Docker, "[2/2] STEP 3/6: RUN …" in Podman.
var steps = regexp.MustCompile(`^(?:\[\d+/\d+\] )?(?i:step) \d+/\d+ ?: `)

// colours matches what Docker puts around a step's standard error, and noise the engines' messages
// about their own work.
var (
	colours = regexp.MustCompile(`\x1b\[[0-9;]*m`)
	noise   = regexp.MustCompile(`^(?: ?--->? |Removing intermediate container )`)
)

// A buildLog passes on the output of a build and remembers its end.
type buildLog struct {
	w    io.Writer
	err  error  // the first error of w, which gets nothing after it
	part string // beginning of an incomplete line
	step string
	last []string // last lines of the step
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

// failed returns the error of a build that ended with reason.
func (l *buildLog) failed(reason string) *BuildError {
	if l.part != "" {
		l.write("\n")
	}
	return &BuildError{Step: l.step, Lines: l.last, Reason: strings.TrimSpace(reason)}
}
