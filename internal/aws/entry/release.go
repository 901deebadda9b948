package entry

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/mayfly-ci/mayfly/internal/aws/contract"
	"github.com/mayfly-ci/mayfly/internal/aws/eventbus"
	"github.com/mayfly-ci/mayfly/internal/aws/function"
	"github.com/mayfly-ci/mayfly/internal/aws/handler"
	"github.com/mayfly-ci/mayfly/internal/image/archive"
	"github.com/mayfly-ci/mayfly/internal/image/release"
	"github.com/mayfly-ci/mayfly/internal/pipeline"
	"github.com/mayfly-ci/mayfly/internal/pool"
)

// openRelease opens the release function: the image of the stack, always current.
func openRelease(_ context.Context, p *environment) (any, error) {
	projects, err := byArchitecture(p.Getenv(contract.EnvProjects))
	if err != nil {
		return nil, err
	}
	r, err := handler.NewRelease(handler.ReleaseConfig{
		AWS: p.AWS, Stack: p.Getenv(contract.EnvStack), Table: p.Getenv(contract.EnvTable), Projects: projects, Repository: p.Getenv(contract.EnvRepository),
		Source: p.Getenv(contract.EnvSource), Feed: release.Feed{Product: archive.Actions, URL: p.Settings.Image.Feed}, Keep: p.Settings.Image.Keep,
		Off:      !p.Settings.Image.Watch || !slices.ContainsFunc(p.Settings.Pools, func(o pool.Pool) bool { return o.Image == "" }),
		Runners:  p.ledger(),
		Pipeline: pipeline.New(pipeline.Config{Limits: p.limits, Log: p.Log}),
		Publish:  eventbus.New(p.AWS, p.Getenv(contract.EnvBus)).Put, Now: time.Now, Log: p.Log,
		Measure: p.metrics,
	})
	if err != nil {
		return nil, err
	}
	return function.Events(r.HandleAll, p.Log), nil
}

// byArchitecture reads amd64=NAME,arm64=NAME.
func byArchitecture(text string) (map[string]string, error) {
	all := map[string]string{}
	for one := range strings.SplitSeq(text, ",") {
		arch, name, ok := strings.Cut(one, "=")
		if !ok || arch == "" || name == "" {
			return nil, fmt.Errorf("%s %q: want amd64=NAME,arm64=NAME", contract.EnvProjects, text)
		}
		all[arch] = name
	}
	return all, nil
}
