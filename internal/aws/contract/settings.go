// Package contract has what the parts of the AWS side agree on: the settings that
// `mayfly deploy` puts beside the handlers and the handlers read, and the names by
// which stack, handlers, tasks and tool know the same thing. It calls nothing and
// needs no SDK, so that the template and the settings can be made and checked
// where there is no AWS.
//
// Its parts: aws/stack is the template, aws/deploy brings it up and takes it down,
// aws/handler is what runs in the functions, aws/build the image's source, builds
// and repository.
package contract

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/mayfly-ci/mayfly/internal/pool"
)

// SettingsFile is the name of the settings in the zip of the handlers, beside
// their program.
const SettingsFile = "mayfly.json"

// Settings are what the handlers need of mayfly.yaml. They lie beside the program,
// where everyone may read them who may read the function: there is no secret among
// them, and nothing that only the stack knows, which comes by the environment.
type Settings struct {
	Pools     pool.Set     `json:"pools"`
	Hosts     []pool.Hosts `json:"hosts,omitempty"` // that the stack starts for the pools
	Events    []string     `json:"events"`          // types of events that go on the bus
	MaxBody   int64        `json:"max_body"`        // of a delivery, in bytes
	GitHub    GitHub       `json:"github"`
	RunnersAt string       `json:"runners_at"` // repository, organization, or enterprises/SLUG
	HookAt    string       `json:"hook_at"`    // whose webhook it is: app, an organization, a repository, or enterprises/SLUG; "" for none
	Image     Image        `json:"image"`
}

// Image is how the image of runners is kept up to date.
type Image struct {
	Watch bool   `json:"watch"` // build it of each new release of the runner, and of each push
	Keep  int    `json:"keep"`  // how many good ones are kept
	Feed  string `json:"feed"`  // GitHub's API or a mirror of it, which has the releases
}

// GitHub is where GitHub is, and as whom its API is called.
type GitHub struct {
	URL   string `json:"url"`
	CA    string `json:"ca,omitempty"` // certificates in PEM that are trusted besides the system's
	AppID int64  `json:"app_id"`       // 0: the App's secret holds a token instead of a key
}

// Write writes s: the same bytes for the same settings, since the name of the zip
// is the hash of what it holds.
func (s Settings) Write(w io.Writer) error {
	text, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return fmt.Errorf("writing the handlers' settings: %w", err)
	}
	_, err = w.Write(append(text, '\n'))
	return err
}

// ReadSettings reads what [Settings.Write] wrote to the file at path. A field that
// is unknown is a fault: program and settings are always of one version.
func ReadSettings(path string) (Settings, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return Settings{}, fmt.Errorf("reading the handlers' settings: %w", err)
	}
	s, err := parse(text)
	if err != nil {
		return Settings{}, fmt.Errorf("reading the handlers' settings in %s: %w", path, err)
	}
	return s, nil
}

func parse(text []byte) (s Settings, err error) {
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(&s); err != nil {
		return Settings{}, err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return Settings{}, errors.New("want one JSON object and nothing after it")
	}
	switch {
	case len(s.Pools) == 0:
		return Settings{}, errors.New("pools: want at least one")
	case s.MaxBody <= 0:
		return Settings{}, fmt.Errorf("max_body %d: want a number of bytes", s.MaxBody)
	case s.GitHub.URL == "":
		return Settings{}, errors.New("github.url: want the address of GitHub")
	}
	return s, nil
}
