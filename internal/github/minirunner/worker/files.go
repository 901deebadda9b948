package worker

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/mayfly-ci/mayfly/internal/github/minirunner/wire"
)

// The files by which a process speaks to its runner, by the variable that names
// them (FileCommandManager.cs).
var fileVariables = [...]string{"GITHUB_ENV", "GITHUB_OUTPUT", "GITHUB_PATH", "GITHUB_STATE", "GITHUB_STEP_SUMMARY"}

// files makes the files, empty, for one process.
func (t *task) files() (map[string]string, error) {
	files, id := map[string]string{}, newID()
	for _, v := range fileVariables {
		name := strings.ToLower(strings.TrimPrefix(v, "GITHUB_")) + "_" + id
		files[v] = filepath.Join(t.frame.job.temp, "_runner_file_commands", name)
		if err := os.WriteFile(files[v], nil, 0o644); err != nil {
			return nil, err
		}
	}
	return files, nil
}

// readFiles takes over what a process wrote for its runner. What is wrong with one
// file fails the step.
func (t *task) readFiles(files map[string]string) error {
	for _, variable := range fileVariables {
		name := strings.ToLower(strings.TrimPrefix(variable, "GITHUB_"))
		text, err := readLimited(files[variable])
		if err == nil {
			err = t.takeFile(variable, text)
		}
		if err != nil {
			return wire.Said("Unable to process file command '%s' successfully. %v", name, err)
		}
	}
	return nil
}

func (t *task) takeFile(variable, text string) error {
	switch variable {
	case "GITHUB_PATH":
		for line := range strings.SplitSeq(text, "\n") {
			if line = strings.TrimSpace(line); line != "" {
				t.frame.job.path = append([]string{line}, t.frame.job.path...)
			}
		}
		return nil
	case "GITHUB_STEP_SUMMARY":
		return t.summary(text)
	}
	pairs, err := parsePairs(text)
	if err != nil {
		return err
	}
	for _, p := range pairs {
		switch variable {
		case "GITHUB_ENV":
			if strings.EqualFold(p.name, "NODE_OPTIONS") {
				return wire.Said("Can't store %s output parameter using '$GITHUB_ENV' command.", p.name)
			}
			t.frame.job.env[p.name] = p.value
		case "GITHUB_OUTPUT":
			t.outputs[p.name] = p.value
		case "GITHUB_STATE":
			t.state[p.name] = p.value
		}
	}
	return nil
}

// maxSummary is how large a step's summary may be.
const maxSummary = 1 << 20

func (t *task) summary(text string) error {
	switch {
	case text == "":
		return nil
	case len(text) > maxSummary:
		return wire.Said("$GITHUB_STEP_SUMMARY upload aborted, supports content up to a size of %dk, got %dk.", maxSummary>>10, len(text)>>10)
	}
	j := t.frame.job
	j.results.summary(t.step.ID, j.masks.hide(text), j.config.Now())
	return nil
}

// maxFile bounds how much of a file is read; the summary's limit is lower.
const maxFile = 16 << 20

// readLimited reads one of the step's files. A missing file is empty.
func readLimited(path string) (string, error) {
	info, err := os.Stat(path)
	if os.IsNotExist(err) {
		return "", nil
	} else if err != nil {
		return "", err
	}
	if info.Size() > maxFile {
		return "", fmt.Errorf("%s has %d bytes: want at most %d", path, info.Size(), maxFile)
	}
	b, err := os.ReadFile(path)
	return string(b), err
}

// A pair is one NAME=value of an environment or output file.
type pair struct{ name, value string }

// parsePairs reads a GITHUB_ENV or GITHUB_OUTPUT file: lines NAME=value, or
// NAME<<END with lines of a value until a line END.
func parsePairs(text string) ([]pair, error) {
	var pairs []pair
	lines := strings.Split(strings.ReplaceAll(text, "\r\n", "\n"), "\n")
	for i := 0; i < len(lines); i++ {
		line := lines[i]
		equal, heredoc := strings.Index(line, "="), strings.Index(line, "<<")
		switch {
		case strings.TrimSpace(line) == "":
		case heredoc > 0 && (equal < 0 || heredoc < equal):
			end := line[heredoc+2:]
			var value []string
			for i++; i < len(lines) && lines[i] != end; i++ {
				value = append(value, lines[i])
			}
			if end == "" || i == len(lines) {
				return nil, wire.Said("Invalid value. Matching delimiter not found '%s'", end)
			}
			pairs = append(pairs, pair{line[:heredoc], strings.Join(value, "\n")})
		case equal > 0:
			pairs = append(pairs, pair{line[:equal], line[equal+1:]})
		default:
			return nil, wire.Said("Invalid format '%s'", line)
		}
	}
	return pairs, nil
}
