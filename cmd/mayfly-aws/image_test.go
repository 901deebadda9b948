package main

import (
	"context"
	"strings"
	"testing"

	"github.com/mayfly-ci/mayfly/internal/aws/awstest"
	"github.com/mayfly-ci/mayfly/internal/aws/build"
	"github.com/mayfly-ci/mayfly/internal/aws/catalog"
	"github.com/mayfly-ci/mayfly/internal/image"
	"github.com/mayfly-ci/mayfly/internal/inspect"
)

// TestImageOnAWS rolls the image of a stack back, and promotes it again by hand.
func TestImageOnAWS(t *testing.T) {
	w := newCloudWorld(t)
	out, errs, code := w.deploy(t)
	w.must(t, out, errs, code)
	old, fresh := image.Digest("sha256:"+strings.Repeat("a", 64)), image.Digest("sha256:"+strings.Repeat("b", 64))
	store := catalog.New(w.cloud.Config, catalog.Config{Table: "ci-ledger", Architecture: "amd64"})
	for _, in := range []image.Input{
		image.Sourced{Revision: "r"}, image.Built{Digest: old, Version: "2.336.0", Revision: "r"}, image.CanaryPassed{Digest: old},
		image.Built{Digest: fresh, Version: "2.337.0", Revision: "r"}, image.CanaryPassed{Digest: fresh},
	} {
		if _, err := store.Apply(t.Context(), in); err != nil {
			t.Fatal(err)
		}
	}
	queue := w.cloud.RuleToQueue(t, "ci", "promoted", `{"source": ["mayfly"], "detail-type": ["Image Promoted"], "detail": {"image": {"digest": ["`+string(old)+`"]}, "previous": ["`+string(fresh)+`"]}}`)
	if v := asJSON[inspect.Images](t, w, "image", "status", "--json"); v.Current == nil || v.Current.Digest != fresh {
		t.Errorf("status %+v: want %s to be current", v, fresh)
	}
	for _, c := range []struct {
		args []string
		want image.Digest
	}{{[]string{"image", "rollback"}, old}, {[]string{"image", "promote", "--force", fresh.Short()}, fresh}} {
		out, errs, code := w.run(t, nil, c.args...)
		if w.must(t, out, errs, code); !strings.Contains(out, string(c.want)) {
			t.Errorf("%v says %s: want %s", c.args, out, c.want)
		}
		w.wantLaunched(t, c.want)
	}
	if said := w.cloud.Received(t, queue); len(said) != 1 {
		t.Errorf("said of the rollback: %v; want one event", said)
	}
	arm := catalog.New(w.cloud.Config, catalog.Config{Table: "ci-ledger", Architecture: "arm64"})
	if _, err := arm.Apply(t.Context(), image.Built{Digest: "sha256:" + image.Digest(strings.Repeat("c", 64)), Version: "2.337.0", Revision: "r"}); err != nil {
		t.Fatal(err)
	}
	if v := asJSON[inspect.Images](t, w, "image", "status", "--json", "--architecture", "arm64"); len(v.Images) != 1 || v.Current != nil {
		t.Errorf("status for arm64 %+v: want one image, which is not current", v)
	}
	if _, errs, code := w.run(t, nil, "image", "rollback"); code != 0 {
		t.Errorf("rollback: exit code %d, %s", code, errs)
	}
}

// wantLaunched checks what the tasks of the stack are launched from.
func (w *cloudWorld) wantLaunched(t *testing.T, want image.Digest) {
	t.Helper()
	v := asJSON[inspect.Images](t, w, "image", "status", "--json")
	if v.Current == nil || v.Current.Digest != want || !v.Current.Done {
		t.Errorf("current: %+v, want %s in force", v.Current, want)
	}
	launched, err := build.NewTasks(w.cloud.Config, "ci", "123456789012.dkr.ecr."+awstest.Region+".amazonaws.com/ci-runner").Current(context.Background())
	if err != nil || launched["amd64"] != string(want) {
		t.Errorf("launched: %v, %v, want %s", launched, err, want)
	}
}
