package docker_test

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/mayfly-ci/mayfly/internal/docker"
	"github.com/mayfly-ci/mayfly/internal/docker/dockertest"
)

func TestImages(t *testing.T) {
	for engine, serve := range dockertest.Engines {
		t.Run(engine, func(t *testing.T) {
			registry := dockertest.NewRegistry(t)
			testImages(t, registry, serve(t))
		})
	}
}

func testImages(t *testing.T, registry dockertest.Registry, socket string) {
	api, err := docker.Dial(socket)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { api.Close() })
	s := docker.NewImages(api)
	const name = "runner:latest"
	ref := registry.Address + "/" + name
	id := func() string {
		t.Helper()
		there, err := api.ImageInspect(t.Context(), ref)
		if err != nil {
			t.Fatal(err)
		}
		return there.ID
	}
	var told bytes.Buffer
	tell := func(image, step string) { fmt.Fprintln(&told, image, step) }
	if err := s.Pull(t.Context(), ref, tell); err == nil || !strings.Contains(err.Error(), ref) {
		t.Errorf("%v, want that there is no such image", err)
	}
	_, first := registry.Push(t, s, name, "first")
	for _, get := range []func(context.Context, string, func(string, string)) error{s.Pull, s.Renew} {
		if err := get(t.Context(), ref, tell); err != nil {
			t.Fatal(err)
		}
		if got := id(); got != first {
			t.Errorf("%s, want %s", got, first)
		}
	}
	if !strings.Contains(told.String(), ref) {
		t.Errorf("told %q", &told)
	}
	_, second := registry.Push(t, s, name, "second")
	if err := s.Pull(t.Context(), ref, tell); err != nil || id() != first {
		t.Errorf("%v: Pull got another image than the one that was there", err)
	}
	if err := s.Renew(t.Context(), ref, tell); err != nil || id() != second {
		t.Errorf("%v: Renew got %s, want %s", err, id(), second)
	}
	if has, err := s.Has(t.Context(), first); has || err != nil {
		t.Errorf("%v, %v: what nobody uses is still there", has, err)
	}
}
