package handler

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/mayfly-ci/mayfly/internal/event"
	"github.com/mayfly-ci/mayfly/internal/image"
	"github.com/mayfly-ci/mayfly/internal/pipeline"
)

// A buildState is CodeBuild's event about a build that ended.
type buildState struct {
	Project string `json:"project-name"`
	Status  string `json:"build-status"`
	More    struct {
		Environment struct {
			Variables []struct{ Name, Value string } `json:"environment-variables"`
		} `json:"environment"`
		Phases []struct {
			Type    string   `json:"phase-type"`
			Status  string   `json:"phase-status"`
			Context []string `json:"phase-context"`
		} `json:"phases"`
	} `json:"additional-information"`
}

func (b buildState) variable(name string) string {
	for _, v := range b.More.Environment.Variables {
		if v.Name == name {
			return v.Value
		}
	}
	return ""
}

func (b buildState) version() image.Version { return image.Version(b.variable("RUNNER_VERSION")) }
func (b buildState) revision() string       { return b.variable("SOURCE_REVISION") }

// reason returns the failed phase and its message.
func (b buildState) reason() string {
	for _, p := range b.More.Phases {
		if p.Status != "" && p.Status != "SUCCEEDED" {
			return fmt.Sprintf("build %s in phase %s: %s", b.Status, p.Type, strings.Join(p.Context, "; "))
		}
	}
	return "build " + b.Status
}

// buildEnded processes the end of a build.
func (p *imagePipeline) buildEnded(ctx context.Context, e event.Event) error {
	var b buildState
	if err := json.Unmarshal(e.Detail, &b); err != nil {
		return fmt.Errorf("detail of %q: %w: %w", e.DetailType, pipeline.ErrNotProcessable, err)
	}
	switch {
	case b.Project != p.project.Name:
		return nil
	case b.Status == "SUCCEEDED":
		if err := p.adoptPushed(ctx); err != nil {
			return err
		}
	default:
		if _, err := p.watch.Apply(ctx, image.BuildFailed{Version: b.version(), Revision: b.revision(), Reason: b.reason()}); err != nil {
			return err
		}
	}
	return p.startNextBuild(ctx, b)
}

// startNextBuild starts the build that waited for the end of b, if any: there is one build at a
// time.
func (p *imagePipeline) startNextBuild(ctx context.Context, b buildState) error {
	c, err := p.store.Catalog(ctx)
	if err != nil || c.Build == nil || p.config.Now().Before(c.Build.NotBefore) {
		return err
	}
	if c.Build.Release.Version == b.version() && c.Build.Revision == b.revision() {
		return nil
	}
	return p.watch.Do(ctx, image.BuildImage{Release: c.Build.Release, Revision: c.Build.Revision, Why: c.Build.Why})
}
