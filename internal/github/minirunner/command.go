package minirunner

import (
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

// output takes a line that a step printed: a command is obeyed, the rest logged.
func (s *step) output(line string) {
	c, ok := parseCommand(line)
	if s.stopped != "" { // ::stop-commands::TOKEN until ::TOKEN::
		if ok && c.name == strings.ToLower(s.stopped) {
			s.stopped = ""
			return
		}
		ok = false
	}
	if !ok {
		s.log(line)
		return
	}
	switch c.name {
	case "error", "warning", "notice":
		s.annotate(c)
		s.log("##[" + c.name + "]" + c.text)
	case "debug", "group":
		s.log("##[" + c.name + "]" + c.text)
	case "endgroup":
		s.log("##[endgroup]")
	case "add-mask":
		s.job.masks.add(c.text)
		s.log("::add-mask::***")
	case "stop-commands":
		s.stopped = c.text
		s.log(line)
	default:
		s.log(line)
	}
}

func (s *step) annotate(c command) {
	level := c.name
	if level == "error" {
		level = "failure"
	}
	number, _ := strconv.Atoi(c.properties["line"]) // 0 when there is none
	s.Annotations = append(s.Annotations, annotation{
		Level: level, Message: s.job.masks.hide(c.text), Title: s.job.masks.hide(c.properties["title"]),
		Path: c.properties["file"], Line: number,
	})
}
