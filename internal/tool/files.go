package tool

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/mayfly-ci/mayfly/internal/cli"
	"github.com/mayfly-ci/mayfly/internal/event/pattern"
)

// maxInput bounds what commands read from files, in bytes.
const maxInput = 4 << 20

// ReadFile reads a file, or standard input for "-".
func ReadFile(name string) ([]byte, error) {
	file := os.Stdin
	if name != "-" {
		var err error
		if file, err = os.Open(name); err != nil {
			return nil, cli.Usage(err, "name a file that is there, or - for standard input")
		}
		defer file.Close()
	}
	text, err := io.ReadAll(io.LimitReader(file, maxInput+1))
	if len(text) > maxInput {
		err = cli.Usage(fmt.Errorf("%s: want %d bytes at most", name, maxInput), "give it in parts")
	}
	return text, err
}

// ReadPattern reads an event pattern from a file.
func ReadPattern(name string) (*pattern.Pattern, error) {
	text, err := ReadFile(name)
	if err != nil {
		return nil, err
	}
	p, err := pattern.Parse(text)
	if err != nil {
		return nil, cli.Usage(fmt.Errorf("%s: %w", name, err), "internal/event/pattern/PATTERNS.md is the specification; it is EventBridge's language")
	}
	return p, nil
}

// ReadObject reads one JSON object from a file.
func ReadObject(name string) ([]byte, error) {
	text, err := ReadFile(name)
	if err != nil {
		return nil, err
	}
	var object map[string]json.RawMessage
	if err := json.Unmarshal(text, &object); err != nil || object == nil {
		return nil, cli.Usage(errors.Join(fmt.Errorf("%s: want an event, a JSON object", name), err), "mayfly events --full prints some")
	}
	return text, nil
}
