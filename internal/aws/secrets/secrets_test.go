package secrets

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/google/go-cmp/cmp"

	"github.com/mayfly-ci/mayfly/internal/aws/awstest"
	"github.com/mayfly-ci/mayfly/internal/secret"
)

func revealed(list []secret.Secret) (all []string) {
	for _, s := range list {
		all = append(all, s.Reveal())
	}
	return all
}

// TestRotation replaces a secret while it is in use.
func TestRotation(t *testing.T) {
	cloud := awstest.Start(t)
	client := secretsmanager.NewFromConfig(cloud.Config)
	made, err := client.CreateSecret(t.Context(), &secretsmanager.CreateSecretInput{Name: aws.String("hook"), SecretString: aws.String("one")})
	if err != nil {
		t.Fatal(err)
	}
	id := *made.ARN
	replace := func(value string) {
		if _, err := client.PutSecretValue(t.Context(), &secretsmanager.PutSecretValueInput{SecretId: &id, SecretString: &value}); err != nil {
			t.Fatal(err)
		}
	}
	var log bytes.Buffer
	r, err := Open(t.Context(), client, id, slog.New(slog.NewTextHandler(&log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	now := time.Unix(1_800_000_000, 0)
	r.now = func() time.Time { return now }
	want := func(what string, want ...string) {
		t.Helper()
		if diff := cmp.Diff(want, revealed(r.Renew(t.Context()))); diff != "" {
			t.Errorf("%s (-want +got):\n%s", what, diff)
		}
	}
	want("never replaced", "one")
	replace("two")
	want("replaced, but read less than a minute ago", "one")
	now = now.Add(time.Minute)
	want("replaced", "two", "one")
	replace("three")
	now = now.Add(time.Minute)
	want("replaced again", "three", "two")
	if diff := cmp.Diff([]string{"three", "two"}, revealed(r.Values())); diff != "" {
		t.Errorf("values (-want +got):\n%s", diff)
	}
	r.id, now = "gone", now.Add(time.Minute)
	want("out of reach", "three", "two")
	if text := log.String(); strings.Count(text, "gone") != 1 || strings.Contains(text, "two") {
		t.Errorf("log %q: want that the secret could not be read, once, and nothing of what it is", text)
	}
}

func TestNoSecret(t *testing.T) {
	client := secretsmanager.NewFromConfig(awstest.Start(t).Config)
	if _, err := client.CreateSecret(t.Context(), &secretsmanager.CreateSecretInput{Name: aws.String("binary"), SecretBinary: []byte("x")}); err != nil {
		t.Fatal(err)
	}
	for id, want := range map[string]string{"none": "reading the secret none", "binary": "it is empty"} {
		if _, err := Open(t.Context(), client, id, slog.Default()); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error %v, want %q", id, err, want)
		}
	}
}
