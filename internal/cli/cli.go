// Package cli is what all commands share: how errors, lists and progress look, and
// what exit codes mean.
//
// The rules: results go to standard output, everything else to standard error.
// What can be listed can be had as JSON. Colours and lines that rewrite themselves
// are for terminals only. An error names what was wrong and ends with a hint.
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
	ExitFailed = 1 // the command ran and could not do what was asked, or a job did not end as meant
	ExitUsage  = 2 // the command line or the configuration is wrong; nothing was done
	ExitBusy   = 3 // somebody else has what is needed, such as the state folder or the port
	ExitForge  = 4 // GitHub refused or could not be reached
	ExitAWS    = 5 // AWS refused or could not be reached
)

// A Fault is an error that a person sees: with a hint, and the exit code it means.
type Fault struct {
	Err  error
	Hint string // the next thing to do; "" when there is nothing to say
	Code int    // 0 stands for ExitFailed
}

// Hint gives err the next thing to do. It keeps the code that err has; nil stays nil.
func Hint(err error, format string, args ...any) error {
	if err == nil {
		return nil
	}
	return &Fault{Err: err, Hint: fmt.Sprintf(format, args...), Code: Code(err)}
}

// HintIfNone gives err a hint unless it has one already, which knows better.
func HintIfNone(err error, hint string) error {
	if errors.As(err, new(*Fault)) {
		return err
	}
	return Hint(err, "%s", hint)
}

// Usage makes err one of the command line or the configuration.
func Usage(err error, format string, args ...any) error {
	return &Fault{Err: err, Hint: fmt.Sprintf(format, args...), Code: ExitUsage}
}

// WithCode says which exit code err means.
func WithCode(err error, code int) error { return &Fault{Err: err, Code: code} }

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
	Colour   bool // Out is a terminal and colours are wanted
	Live     bool // Err is a terminal: lines may rewrite themselves
}

// NewScreen returns the screen of the process. noColour is the NO_COLOR convention
// (https://no-color.org).
func NewScreen(out, err *os.File, noColour bool) *Screen {
	return &Screen{
		Out: out, Err: err,
		Colour: term.IsTerminal(int(out.Fd())) && !noColour,
		Live:   term.IsTerminal(int(err.Fd())),
	}
}

// Fail prints err, with the hint of the outermost [Fault] that has one, and returns
// the exit code.
func (s *Screen) Fail(err error) int {
	fmt.Fprintf(s.Err, "%s %s\n", s.Paint(Red, "error:"), strings.ReplaceAll(err.Error(), "\n", "\n       "))
	if hint := hintOf(err); hint != "" {
		fmt.Fprintf(s.Err, "%s %s\n", s.Paint(Blue, "hint:"), strings.ReplaceAll(hint, "\n", "\n      "))
	}
	return Code(err)
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

// Notef says something on the side, a line of its own.
func (s *Screen) Notef(format string, args ...any) { fmt.Fprintf(s.Err, format+"\n", args...) }
