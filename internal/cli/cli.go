// Package cli is what all commands share: how errors, lists and progress look, and
// what exit codes mean.
//
// # Output
//
// Results go to standard output, everything else to standard error. Every list is
// also available as JSON. Colours and lines that rewrite themselves are for terminals
// only.
//
// # Words
//
// Users are engineers in a hurry: whatever they read (help, errors, hints, the reasons
// that mayfly why gives) is short, plain and idiomatic.
//
//   - Help is imperative, starts with a capital and ends with a full stop: "List dead
//     letters." Name a flag's value in capitals: "Only events from the last DURATION,
//     such as 1h.", not "Only events of this last while".
//   - An error names the value, the rule that it breaks and the allowed form, in lower
//     case, without "failed to": `pool name "A_B": want a-z, 0-9 and dashes`. "want" is
//     followed by the form that is allowed. Where a rule says it better, give the rule:
//     "duplicate rule name", not "want one of a name"; "--base is not supported on AWS",
//     not "--base: want it on this machine only".
//   - A hint is the next thing to do, best a command: "mayfly config check". It is a
//     [Fault]'s Hint, not part of the error.
//   - A reason has its subject first, in the active voice: "GitHub gave this job's runner
//     to another job", not "a runner that GitHub took its own runner for is there".
//     Avoid free relatives ("who reads …", "what lacks …"), inversion and "there is none".
//   - Use the field's word and no private one: "scheduling pass", not "sweep's turn". The
//     words of Mayfly itself are listed in DESIGN.md; each has one meaning.
package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/term"
)

// Exit codes of the tool.
const (
	ExitOK     = 0 // done
	ExitFailed = 1 // the command ran but could not do what was asked, or a job ended differently than expected
	ExitUsage  = 2 // the command line or the configuration is wrong; nothing was done
	ExitBusy   = 3 // another process holds something that the command needs, such as the state folder or the port
	ExitForge  = 4 // GitHub refused or could not be reached
	ExitAWS    = 5 // AWS refused or could not be reached
)

// A Fault is an error as a person sees it, with a hint and an exit code.
type Fault struct {
	Err  error
	Hint string // the next thing to do, if any
	Code int    // 0 means ExitFailed
}

// Hint adds the next thing to do to err, and keeps err's exit code. It returns nil for nil.
func Hint(err error, format string, args ...any) error {
	if err == nil {
		return nil
	}
	return &Fault{Err: err, Hint: fmt.Sprintf(format, args...), Code: Code(err)}
}

// HintIfNone adds a hint to err unless it has one: the hint given closer to the cause is more specific.
func HintIfNone(err error, hint string) error {
	if errors.As(err, new(*Fault)) {
		return err
	}
	return Hint(err, "%s", hint)
}

// Usage marks err as a mistake in the command line or the configuration, and adds a hint.
func Usage(err error, format string, args ...any) error {
	return &Fault{Err: err, Hint: fmt.Sprintf(format, args...), Code: ExitUsage}
}

// WithCode gives err an exit code.
func WithCode(err error, code int) error { return &Fault{Err: err, Code: code} }

// errSaid is the error of a command that has printed all there is to say.
var errSaid = errors.New("said already")

// Quiet returns an error that is not printed, for its exit code alone: the result that a command has printed
// says the rest.
func Quiet(code int) error { return WithCode(errSaid, code) }

func (f *Fault) Error() string { return f.Err.Error() }
func (f *Fault) Unwrap() error { return f.Err }

// Code returns the exit code for err.
func Code(err error) int {
	var f *Fault
	switch {
	case err == nil:
		return ExitOK
	case errors.As(err, &f) && f.Code != 0:
		return f.Code
	}
	return ExitFailed
}

// A Screen is where a command writes.
type Screen struct {
	Out, Err io.Writer
	Colour   bool // whether to print colours
	Live     bool // whether lines on Err may rewrite themselves
}

// NewScreen returns the screen of the process. noColour is the NO_COLOR convention
// (https://no-color.org).
func NewScreen(out, err *os.File, noColour bool) *Screen {
	toTerminal, errToTerminal := term.IsTerminal(int(out.Fd())), term.IsTerminal(int(err.Fd()))
	return &Screen{
		Out: plain{out, toTerminal}, Err: plain{err, toTerminal || errToTerminal}, // Colour applies to Err too
		Colour: toTerminal && !noColour,
		Live:   errToTerminal,
	}
}

// Fail prints err, unless it is [Quiet], with the hint of the outermost [Fault] that has one, and returns
// the exit code.
func (s *Screen) Fail(err error) int {
	if errors.Is(err, errSaid) {
		return Code(err)
	}
	fmt.Fprintf(s.Err, "%s %s\n", s.Paint(Red, "error:"), indented(err.Error(), "       "))
	if hint := hintOf(err); hint != "" {
		fmt.Fprintf(s.Err, "%s %s\n", s.Paint(Blue, "hint:"), indented(hint, "      "))
	}
	return Code(err)
}

// indented returns text with each line [Printable] and all but the first indented by margin, so that
// text from outside cannot pass for a line of the tool, such as a hint.
func indented(text, margin string) string {
	lines := strings.Split(text, "\n")
	for i := range lines {
		lines[i] = Printable(lines[i])
	}
	return strings.Join(lines, "\n"+margin)
}

func hintOf(err error) string {
	for f := (*Fault)(nil); errors.As(err, &f); err = f.Err {
		if f.Hint != "" {
			return f.Hint
		}
	}
	return ""
}

// JSON prints v indented.
func (s *Screen) JSON(v any) error {
	enc := json.NewEncoder(s.Out)
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false)
	return enc.Encode(v)
}

// Notef prints a line to standard error.
func (s *Screen) Notef(format string, args ...any) { fmt.Fprintf(s.Err, format+"\n", args...) }
