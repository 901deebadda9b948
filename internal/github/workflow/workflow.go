// Package workflow reads the files of .github/workflows, for githubsim, which runs them, and
// for the lint, which routes them: which pushes start one,
// its jobs, their steps, and the legs of a matrix. The parser is actionlint's;
// what GitHub would refuse is a [Fault] with line and column.
// https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-syntax
package workflow

import (
	"fmt"
	"regexp"
)

// A Workflow is one file.
type Workflow struct {
	Path        string // such as .github/workflows/ci.yml
	Name        string // of the file if it names none
	RunName     string // of its runs; may hold ${{ }}; "" for the commit's title
	Env         []Variable
	Concurrency *Concurrency // nil: its runs may all go on at once
	Jobs        []Job        // as in the file
	Schedules   []Schedule
	Call        *Interface // what a job that calls it gives and gets; nil: no job may
	Dispatch    *Interface // what a person who starts it gives; nil: nobody may
	Unsent      []string   // events of `on:` that githubsim never sends

	push *filters // nil: no push starts it
}

// A Variable is one line of env, with, outputs or inputs. The value may hold ${{ }}.
type Variable struct{ Name, Value string }

// A Job is one of a workflow's jobs, before its matrix makes several of it.
// Texts may hold ${{ }}.
type Job struct {
	Key         string // its name under jobs:
	Line        int    // where it calls a workflow, or begins
	Column      int
	Name        string // "" if it names none
	Needs       []string
	If          string
	Labels      []string // of runs-on
	LabelsFrom  string   // runs-on as one ${{ }} that yields a label or a list; "" otherwise
	Group       string   // of runs-on; "" if it names none
	RunsOnLine  int      // where runs-on's value begins; 0 without one
	RunsOnCol   int
	Env         []Variable
	Outputs     []Variable
	Environment string // to deploy to; "" if none
	Deployment  string // "false": to use the environment is not to deploy to it
	Concurrency *Concurrency
	Container   *Container
	Services    []Service

	Uses           string     // the workflow that it calls in place of steps; "" if none
	With           []Variable // for the called workflow
	Secrets        []Variable // for the called workflow
	InheritSecrets bool

	Shell            string // defaults of run steps, the workflow's if the job has none
	WorkingDirectory string

	Timeout         string // minutes, or ${{ }}
	ContinueOnError string // "true", "false" or ${{ }}
	FailFast        string // "true", "false" or ${{ }}
	MaxParallel     string // a number or ${{ }}; "": no limit
	Matrix          *Matrix
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
	Timeout          string // minutes, or ${{ }}; "": the job's
}

// A Concurrency names a group whose runs or jobs go one after another.
// https://docs.github.com/en/actions/how-tos/write-workflows/choose-when-workflows-run/control-workflow-concurrency
type Concurrency struct {
	Group            string
	CancelInProgress string // "true", "false" or ${{ }}
	Queue            string // "max": many wait; else the newest alone
}

// A Schedule is one line of on.schedule.
type Schedule struct {
	Cron     string
	Timezone string // "" for UTC
}

// A Container is one that a job runs in, or that serves it. Texts may hold ${{ }}.
type Container struct {
	Image    string
	Options  string
	Env      []Variable
	Ports    []string
	Volumes  []string
	Username string
	Password string

	Entrypoint string // of a service only
	Command    string
}

// A Service is a container that runs beside a job, under a name.
type Service struct {
	Name string
	Container
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
const DefaultTimeout = "360"

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

// Find returns the job called key, or nil.
func (w *Workflow) Find(key string) *Job {
	for i := range w.Jobs {
		if w.Jobs[i].Key == key {
			return &w.Jobs[i]
		}
	}
	return nil
}
