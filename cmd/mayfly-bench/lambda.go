package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"github.com/mayfly-ci/mayfly/internal/aws/contract"
	"github.com/mayfly-ci/mayfly/internal/aws/deploy"
	"github.com/mayfly-ci/mayfly/internal/aws/program"
	"github.com/mayfly-ci/mayfly/internal/aws/runtimeapi"
	"github.com/mayfly-ci/mayfly/internal/cli"
	"github.com/mayfly-ci/mayfly/internal/event"
	"github.com/mayfly-ci/mayfly/internal/github/githubsim/hook"
	"github.com/mayfly-ci/mayfly/internal/pool"
	"github.com/mayfly-ci/mayfly/internal/rehearsal"
)

// lambdaCmd is `mayfly-bench lambda`.
type lambdaCmd struct {
	Runs int  `help:"How often each starts." default:"50"`
	JSON bool `help:"Print JSON."`
}

// bareWebhook is the program that the webhook is measured beside.
const bareWebhook = "mayfly-webhook/bare"

// A lambdaFigure is what the first answer of a program took, from the start of its
// process, and how large its zip is.
type lambdaFigure struct {
	Program string  `json:"program"`
	P50     float64 `json:"p50_ms"`
	P99     float64 `json:"p99_ms"`
	Zip     int     `json:"zip_bytes"` // for arm64, as it is deployed
}

// Run starts the webhook's function and the bare one in turn, each with one signed
// delivery waiting.
func (c *lambdaCmd) Run(ctx context.Context, screen *cli.Screen) (err error) {
	dir, err := os.MkdirTemp("", "mayfly-bench-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	progress := screen.Progress(time.Now)
	defer progress.End()
	b := lambdaBench{dir: dir, names: []string{program.Webhook, bareWebhook}, times: map[string][]float64{}}
	progress.Set("building the functions …")
	if err := b.prepare(ctx); err != nil {
		return cli.Hint(err, "what the webhook is measured beside is built from the source tree: run it there, with Go installed")
	}
	defer b.server.Close()
	for i := range c.Runs {
		progress.Set("start %d of %d …", i+1, c.Runs)
		for _, name := range b.names {
			if err := b.run(ctx, name); err != nil {
				return err
			}
		}
	}
	progress.Set("building for arm64 …")
	figures, err := b.figures(ctx)
	progress.End()
	if err != nil {
		return err
	}
	if c.JSON {
		return screen.JSON(figures)
	}
	var rows [][]cli.Cell
	for _, f := range figures {
		rows = append(rows, cli.Text(f.Program, fmt.Sprintf("%.1f", f.P50), fmt.Sprintf("%.1f", f.P99), fmt.Sprintf("%.1f", float64(f.Zip)/(1<<20))))
	}
	screen.Table([]string{"FUNCTION", "P50 MS", "P99 MS", "ZIP MIB"}, rows)
	return nil
}

// A lambdaBench holds what the functions are started with.
type lambdaBench struct {
	dir     string
	names   []string
	server  *http.Server // what they take for AWS
	address string
	event   []byte
	times   map[string][]float64 // of first answers, in milliseconds, by program
}

const benchSecret = "It's a Secret to Everybody"

// prepare builds the programs, puts settings beside them, and serves what stands for AWS.
func (b *lambdaBench) prepare(ctx context.Context) error {
	settings, err := benchSettings()
	if err != nil {
		return err
	}
	for _, name := range b.names {
		body, err := program.Linux(ctx, name, runtime.GOARCH)
		if err != nil {
			return err
		}
		if err := os.MkdirAll(filepath.Join(b.dir, name), 0o700); err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(b.dir, name, "bootstrap"), body, 0o700); err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(b.dir, name, contract.SettingsFile), settings, 0o600); err != nil {
			return err
		}
	}
	if b.event, err = benchEvent(); err != nil {
		return err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	b.address = "http://" + l.Addr().String()
	b.server = &http.Server{Handler: http.HandlerFunc(benchAWS), ReadHeaderTimeout: time.Minute}
	go b.server.Serve(l) // until the end
	return nil
}

// benchAWS takes every event, and knows one secret.
func benchAWS(w http.ResponseWriter, r *http.Request) {
	_, _ = io.Copy(io.Discard, r.Body)
	w.Header().Set("Content-Type", "application/x-amz-json-1.1")
	fmt.Fprintf(w, `{"FailedEntryCount":0,"Entries":[{"EventId":"11710aed-b79e-4468-a20b-bb3c0c3b4860"}],"SecretString":%q}`, benchSecret)
}

func benchSettings() ([]byte, error) {
	var text bytes.Buffer
	err := contract.Settings{
		Pools:   pool.Set{{Name: "bench", Labels: []string{"self-hosted", "linux", "x64"}}},
		Events:  []string{event.TypeWorkflowJob},
		MaxBody: 25 << 20, GitHub: contract.GitHub{URL: "https://github.com"},
	}.Write(&text)
	return text.Bytes(), err
}

// benchEvent is a signed delivery as it comes over a Function URL.
func benchEvent() ([]byte, error) {
	r, err := http.NewRequest(http.MethodPost, "https://abc.lambda-url.eu-west-1.on.aws/", nil)
	if err != nil {
		return nil, err
	}
	for name, value := range map[string]string{
		"Content-Type": "application/json", "X-GitHub-Event": event.TypeWorkflowJob, "X-GitHub-Delivery": "72d3162e-cc78-11e3-81ab-4c9367dc0958",
		"X-Hub-Signature-256": hook.Sign(benchSecret, sampleDelivery),
	} {
		r.Header.Set(name, value)
	}
	return runtimeapi.Event(r, sampleDelivery, nil)
}

// run starts the named program and notes what its first answer took.
func (b *lambdaBench) run(ctx context.Context, name string) (err error) {
	var log bytes.Buffer
	f, err := runtimeapi.New(runtimeapi.Config{
		Program: filepath.Join(b.dir, name, "bootstrap"), Timeout: 10 * time.Second, Log: &log,
		Env: []string{
			contract.EnvHandler + "=" + contract.HandlerWebhook, contract.EnvBus + "=bench", contract.EnvWebhookSecret + "=bench",
			"AWS_REGION=eu-west-1", "AWS_ACCESS_KEY_ID=bench", "AWS_SECRET_ACCESS_KEY=bench", "AWS_ENDPOINT_URL=" + b.address,
		},
	})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	begun := time.Now()
	answer, err := f.Invoke(ctx, b.event)
	took := time.Since(begun)
	if err != nil || !bytes.Contains(answer, []byte(`"statusCode":202`)) {
		return fmt.Errorf("%s answered %s (%w); it said: %s", name, answer, err, &log)
	}
	b.times[name] = append(b.times[name], milliseconds(took))
	return nil
}

// figures sums up, and adds the sizes of what is deployed.
func (b *lambdaBench) figures(ctx context.Context) (list []lambdaFigure, err error) {
	settings, err := benchSettings()
	if err != nil {
		return nil, err
	}
	for _, name := range b.names {
		body, err := program.Linux(ctx, name, "arm64")
		if err != nil {
			return nil, err
		}
		zip, err := deploy.Zip(map[string][]byte{"bootstrap": body, contract.SettingsFile: settings})
		if err != nil {
			return nil, err
		}
		q := rehearsal.QuantilesOf(b.times[name])
		list = append(list, lambdaFigure{name, q.P50, q.P99, len(zip)})
	}
	return list, nil
}
