package engine

import (
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// Streams are as Podman 4.3 and Docker 20.10 sent them.
var streams = []struct {
	name, stream, id, failure, log string
}{
	{
		name: "Podman builds",
		stream: `{"stream":"STEP 1/1: FROM localhost/base\n"}{"stream":"COMMIT localhost/try:1\n"}{"stream":"--\u003e c5018393960\n"}
			{"aux":{"ID":"sha256:c501"}}{"stream":"Successfully built c5018393960b\n"}`,
		id:  "sha256:c501",
		log: "STEP 1/1: FROM localhost/base\nCOMMIT localhost/try:1\n--> c5018393960\nSuccessfully built c5018393960b\n",
	},
	{
		name: "Docker builds",
		stream: `{"stream":"Step 1/1 : FROM base"}{"stream":"\n"}{"status":"Pulling fs layer","progressDetail":{},"id":"26c3"}
			{"status":"Downloading","progressDetail":{"current":1,"total":2},"id":"26c3"}{"status":"Download complete","id":"26c3"}
			{"aux":{"ID":"sha256:7e02"}}{"stream":"Successfully built 7e02\n"}`,
		id:  "sha256:7e02",
		log: "Step 1/1 : FROM base\n26c3: Download complete\nSuccessfully built 7e02\n",
	},
	{
		name: "Podman fails",
		stream: `{"stream":"[2/2] STEP 5/6: RUN echo before\n"}{"stream":"before\n"}{"stream":"[2/2] STEP 6/6: RUN echo \"a\": \u0026\u0026 test \"$X\" = 2\n"}{"stream":"a:\n"}{"stream":"1024\n"}
			{"errorDetail":{"message":"building at STEP \"RUN echo \"a\": \u0026\u0026 test \"$X\" = 2\": while running runtime: exit status 1\n"},"error":"building at STEP …"}`,
		failure: "[2/2] STEP 6/6: RUN echo \"a\": && test \"$X\" = 2: while running runtime: exit status 1\n  | a:\n  | 1024",
		log:     "[2/2] STEP 5/6: RUN echo before\nbefore\n[2/2] STEP 6/6: RUN echo \"a\": && test \"$X\" = 2\na:\n1024\n",
	},
	{
		name: "Docker fails",
		stream: `{"stream":"Step 2/2 : RUN set -eu;     exit 1"}{"stream":"\n"}{"stream":" ---\u003e Running in 57c9e39b2de1\n"}
			{"stream":"\u001b[91mversion is 2.999.0\n\u001b[0m"}{"stream":"Removing intermediate container 57c9e39b2de1\n"}
			{"errorDetail":{"code":1,"message":"The command '/bin/sh -c set -eu;     exit 1' returned a non-zero code: 1"},"error":"The command …"}`,
		failure: "Step 2/2 : RUN set -eu; exit 1: returned a non-zero code: 1\n  | version is 2.999.0",
		log:     "Step 2/2 : RUN set -eu;     exit 1\n ---> Running in 57c9e39b2de1\n\x1b[91mversion is 2.999.0\n\x1b[0mRemoving intermediate container 57c9e39b2de1\n",
	},
	{
		name:    "fails before the first step",
		stream:  `{"error":"unable to resolve Dockerfile\n"}`,
		failure: "unable to resolve Dockerfile",
	},
	{
		name:    "ends in the middle of a line",
		stream:  `{"stream":"STEP 1/1: RUN x\n"}{"stream":"half"}`,
		failure: "STEP 1/1: RUN x: the build ended without an image\n  | half",
		log:     "STEP 1/1: RUN x\nhalf\n",
	},
}

func TestFollow(t *testing.T) {
	for _, c := range streams {
		var log strings.Builder
		id, err := (&buildLog{w: &log}).follow(strings.NewReader(c.stream))
		failure := ""
		if err != nil {
			failure = err.Error()
		}
		if diff := cmp.Diff([]string{c.id, c.failure, c.log}, []string{id, failure, log.String()}); diff != "" {
			t.Errorf("%s: %s", c.name, diff)
		}
	}
}

// TestFollowWithoutALog: a build does not fail because nobody can read its log.
func TestFollowWithoutALog(t *testing.T) {
	broken := writerFunc(func([]byte) (int, error) { return 0, io.ErrClosedPipe })
	if id, err := (&buildLog{w: broken}).follow(strings.NewReader(streams[0].stream)); err != nil || id != streams[0].id {
		t.Errorf("%q, %v", id, err)
	}
}

func FuzzFollow(f *testing.F) {
	for _, c := range streams {
		f.Add(c.stream)
	}
	f.Fuzz(func(t *testing.T, stream string) {
		id, err := (&buildLog{w: io.Discard}).follow(strings.NewReader(stream))
		var failed *BuildError
		if err == nil && id == "" {
			t.Error("neither an image nor an error")
		}
		if errors.As(err, &failed) && len(failed.Lines) > maxLines {
			t.Errorf("%d lines", len(failed.Lines))
		}
	})
}
