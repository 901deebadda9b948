// Package workflow reads the files of .github/workflows: which pushes start one,
// its jobs, their steps, and the legs of a matrix. The parser is actionlint's;
// what GitHub would refuse and what githubsim has not got are [Fault]s with line
// and column.
// https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-syntax
package workflow

import (
	"fmt"
	"regexp"
)

// A Workflow is one file.
type Workflow struct {
	Path string // such as .github/workflows/ci.yml
	Name string // of the file if it names none
	Env  []Variable
	Jobs []Job // as in the file

	push     *filters // nil: no push starts it
	dispatch bool
	inputs   []Variable // of workflow_dispatch, with their defaults
}

// A Variable is one line of env, with, outputs or inputs. The value may hold ${{ }}.
type Variable struct{ Name, Value string }

// A Job is one of a workflow's jobs, before its matrix makes several of it.
// Texts may hold ${{ }}.
type Job struct {
	Key         string // its name under jobs:
	Name        string // "" if it names none
	Needs       []string
	If          string
	Labels      []string // of runs-on
	LabelsFrom  string   // runs-on as one ${{ }} that yields a label or a list; "" otherwise
	Group       string   // of runs-on; "" if it names none
	Env         []Variable
	Outputs     []Variable
	Environment string // to deploy to; "" if none

	Shell            string // defaults of run steps, the workflow's if the job has none
	WorkingDirectory string

	Timeout         float64 // minutes
	ContinueOnError string  // "true", "false" or ${{ }}
	FailFast        bool
	MaxParallel     int     // 0: no limit
	Matrix          *Matrix // nil: no matrix
	Steps           []Step
}

// A Step is one of a job's steps: Run or Uses is set. Texts may hold ${{ }}.
type Step struct {
	ID, Name         string // "" if it has none
	If               string
	Run              string
	Uses             string // such as actions/checkout@v4
	With             []Variable
	Shell            string
	WorkingDirectory string
	Env              []Variable
	ContinueOnError  string
	Timeout          float64 // minutes; 0: the job's
}

// A Fault is something in a file that a person has to mend.
type Fault struct {
	File         string
	Line, Column int // from 1
	Message      string
}

func (f Fault) Error() string {
	return fmt.Sprintf("%s:%d:%d: %s", f.File, f.Line, f.Column, f.Message)
}

// DefaultTimeout of a job, in minutes.
const DefaultTimeout = 360

// A filters is what of `on: push` there is.
type filters struct {
	branches, tags, paths *globs // nil: not given
}

// globs is a list of patterns; one with ! in front takes back what matched before it.
type globs struct {
	patterns []glob
	ignore   bool // a match is one too many, as in branches-ignore
}

type glob struct {
	re     *regexp.Regexp
	negate bool
}

// Dispatchable reports whether the workflow can be started by hand.
func (w *Workflow) Dispatchable() bool { return w.dispatch }

// Inputs gives the inputs of a start by hand: given over the file's defaults.
func (w *Workflow) Inputs(given map[string]string) map[string]any {
	inputs := map[string]any{}
	for _, in := range w.inputs {
		inputs[in.Name] = in.Value
	}
	for name, value := range given {
		inputs[name] = value
	}
	return inputs
}

// Find returns the job called key, nil if there is none.
func (w *Workflow) Find(key string) *Job {
	for i := range w.Jobs {
		if w.Jobs[i].Key == key {
			return &w.Jobs[i]
		}
	}
	return nil
}
