package worker

import (
	"fmt"
	"strconv"
	"strings"
)

// A command is a line like ::error file=a.go,line=3::text by which a step speaks
// to its runner.
// https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-commands
type command struct {
	name       string
	properties map[string]string // names in lower case
	text       string
}

var (
	unescapeText     = strings.NewReplacer("%0D", "\r", "%0A", "\n", "%25", "%")
	unescapeProperty = strings.NewReplacer("%0D", "\r", "%0A", "\n", "%3A", ":", "%2C", ",", "%25", "%")
)

// parseCommand reads line as a command, and says whether it is one.
func parseCommand(line string) (command, bool) {
	rest, ok := strings.CutPrefix(strings.TrimLeft(line, " \t"), "::")
	if !ok {
		return command{}, false
	}
	head, text, ok := strings.Cut(rest, "::")
	name, list, _ := strings.Cut(strings.TrimSpace(head), " ")
	if !ok || name == "" {
		return command{}, false
	}
	c := command{strings.ToLower(name), map[string]string{}, unescapeText.Replace(text)}
	for pair := range strings.SplitSeq(list, ",") {
		if k, v, ok := strings.Cut(pair, "="); ok {
			c.properties[strings.ToLower(strings.TrimSpace(k))] = unescapeProperty.Replace(v)
		}
	}
	return c, true
}

// output takes a line that a process printed: a command is obeyed, the rest logged
// (ActionCommandManager.cs).
func (t *task) output(line string) {
	c, ok := parseCommand(line)
	if t.step.stopped != "" { // ::stop-commands::TOKEN until ::TOKEN::
		if ok && c.name == strings.ToLower(t.step.stopped) {
			t.step.stopped = ""
			return
		}
		ok = false
	}
	if !ok || !t.obey(c, line) {
		t.step.log(line)
	}
}

// obey does what a command says, and reports whether it is one.
func (t *task) obey(c command, line string) bool {
	switch c.name {
	case "error", "warning":
		t.step.annotate(c.annotation(), t.step.log("##["+c.name+"]"+c.text))
	case "notice":
		if !t.frame.job.message.flag("DistributedTask.EnhancedAnnotations") {
			return false
		}
		t.step.annotate(c.annotation(), t.step.log("##[notice]"+c.text))
	case "group":
		t.step.log("##[group]" + c.text)
	case "endgroup":
		t.step.log("##[endgroup]")
	case "add-mask":
		t.frame.job.masks.add(c.text)
	case "stop-commands":
		t.step.stopped = c.text
		t.step.log(line)
	case "set-output":
		t.outputs[c.properties["name"]] = c.text
		t.deprecated(c.name)
	case "save-state":
		t.state[c.properties["name"]] = c.text
		t.deprecated(c.name)
	case "set-env", "add-path":
		t.step.fail(fmt.Sprintf("The `%s` command is disabled. Please upgrade to using Environment Files. "+
			"For more information see: https://github.blog/changelog/2020-10-01-github-actions-deprecating-set-env-and-add-path-commands/", c.name))
	case "debug", "echo", "add-matcher", "remove-matcher": // a log without debugging has none of them
	default:
		return false
	}
	return true
}

func (t *task) deprecated(command string) {
	t.step.warn(fmt.Sprintf("The `%s` command is deprecated and will be disabled soon. Please upgrade to using Environment Files. "+
		"For more information see: https://github.blog/changelog/2022-10-11-github-actions-deprecating-save-state-and-set-output-commands/", command))
}

// annotation is an error, a warning or a notice about the code.
func (c command) annotation() annotation {
	number := func(name string) int {
		n, _ := strconv.Atoi(c.properties[name]) // 0 when there is none
		return n
	}
	level := c.name
	if level == "error" {
		level = "failure"
	}
	return annotation{
		Level: level, Message: c.text, Title: c.properties["title"], Path: c.properties["file"],
		StartLine: number("line"), EndLine: number("endline"), StartColumn: number("col"), EndColumn: number("endcolumn"),
	}
}
