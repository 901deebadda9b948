package main

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/mayfly-ci/mayfly/internal/aws/contract"
	"github.com/mayfly-ci/mayfly/internal/aws/eventbus"
	"github.com/mayfly-ci/mayfly/internal/aws/function"
	"github.com/mayfly-ci/mayfly/internal/aws/handler"
	"github.com/mayfly-ci/mayfly/internal/image/release"
	"github.com/mayfly-ci/mayfly/internal/pipeline"
	"github.com/mayfly-ci/mayfly/internal/pool"
)

// openRelease opens the release function: the image of the stack, always current.
func openRelease(_ context.Context, p *environment) (any, error) {
	projects, err := byArchitecture(p.getenv(contract.EnvProjects))
	if err != nil {
		return nil, err
	}
	r, err := handler.NewRelease(handler.ReleaseConfig{
		AWS: p.aws, Stack: p.getenv(contract.EnvStack), Table: p.getenv(contract.EnvTable), Projects: projects, Repository: p.getenv(contract.EnvRepository),
		Source: p.getenv(contract.EnvSource), Feed: release.Feed{URL: p.settings.Image.Feed}, Keep: p.settings.Image.Keep,
		Off:      !p.settings.Image.Watch || !slices.ContainsFunc(p.settings.Pools, func(o pool.Pool) bool { return o.Image == "" }),
		Runners:  p.ledger(nil),
		Pipeline: pipeline.New(pipeline.Config{Limits: p.limits, Log: p.log}),
		Publish:  eventbus.New(p.aws, p.getenv(contract.EnvBus)).Put, Now: time.Now, Log: p.log,
		Measure: func(values map[string]float64) error {
			return function.WriteMetrics(os.Stdout, p.getenv(contract.EnvStack), time.Now(), values)
		},
	})
	if err != nil {
		return nil, err
	}
	return r.Handle, nil
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
