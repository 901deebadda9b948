package deploy_test

import (
	"archive/zip"
	"bytes"
	"io"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"

	"github.com/mayfly-ci/mayfly/internal/aws/awstest"
	"github.com/mayfly-ci/mayfly/internal/aws/deploy"
	"github.com/mayfly-ci/mayfly/internal/secret"
)

func TestBucketComesAndGoes(t *testing.T) {
	cloud := awstest.Start(t)
	b := deploy.NewBucket(cloud.Config, awstest.Account, "ci")
	a := deploy.NewArtifact("handlers", []byte("zip"), ".zip")
	for i := range 2 {
		if err := b.Make(t.Context()); err != nil {
			t.Fatal(err)
		}
		if uploaded, err := b.Put(t.Context(), a); err != nil || uploaded != (i == 0) {
			t.Errorf("put %d: uploaded %v, %v", i+1, uploaded, err)
		}
	}
	api := s3.NewFromConfig(cloud.Config)
	closed, err := api.GetPublicAccessBlock(t.Context(), &s3.GetPublicAccessBlockInput{Bucket: &b.Name})
	if err != nil || !*closed.PublicAccessBlockConfiguration.BlockPublicPolicy {
		t.Errorf("public access: %+v, %v: want none", closed, err)
	}
	versions, err := api.GetBucketVersioning(t.Context(), &s3.GetBucketVersioningInput{Bucket: &b.Name})
	if err != nil || versions.Status != "Enabled" {
		t.Errorf("versioning: %+v, %v", versions, err)
	}
	if _, err := api.DeleteObject(t.Context(), &s3.DeleteObjectInput{Bucket: &b.Name, Key: &a.Key}); err != nil { // leaves a mark
		t.Fatal(err)
	}
	for range 2 {
		if err := b.Remove(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if there, err := b.Exists(t.Context()); err != nil || there {
		t.Errorf("removed: there %v, %v", there, err)
	}
}

func TestZipIsTheSameForTheSameFiles(t *testing.T) {
	files := map[string][]byte{"bootstrap": []byte("elf"), "mayfly.json": []byte("{}")}
	a, err := deploy.Zip(files)
	if err != nil {
		t.Fatal(err)
	}
	if b, _ := deploy.Zip(files); !bytes.Equal(a, b) {
		t.Error("packed twice it differs")
	}
	z, err := zip.NewReader(bytes.NewReader(a), int64(len(a)))
	if err != nil || len(z.File) != 2 || z.File[0].Name != "bootstrap" || z.File[0].Mode().Perm() != 0o755 {
		t.Fatalf("%v, %v", z, err)
	}
	r, err := z.File[0].Open()
	if err != nil {
		t.Fatal(err)
	}
	if text, _ := io.ReadAll(r); string(text) != "elf" {
		t.Errorf("bootstrap is %q", text)
	}
}

func TestSecretIsFilledOnceAndRotated(t *testing.T) {
	cloud := awstest.Start(t)
	api := secretsmanager.NewFromConfig(cloud.Config)
	made, err := api.CreateSecret(t.Context(), &secretsmanager.CreateSecretInput{Name: aws.String("webhook")})
	if err != nil {
		t.Fatal(err)
	}
	fill := func(values ...string) bool {
		t.Helper()
		var all []secret.Secret
		for _, v := range values {
			all = append(all, secret.New(v))
		}
		changed, err := deploy.FillSecret(t.Context(), cloud.Config, *made.ARN, all...)
		if err != nil {
			t.Fatal(err)
		}
		return changed
	}
	value := func(stage string) string {
		t.Helper()
		out, err := api.GetSecretValue(t.Context(), &secretsmanager.GetSecretValueInput{SecretId: made.ARN, VersionStage: &stage})
		if err != nil {
			t.Fatal(err)
		}
		return *out.SecretString
	}
	if !fill("one") || fill("one") {
		t.Error("want it filled the first time, and left alone the second")
	}
	if !fill("two", "one") || value("AWSCURRENT") != "two" || value("AWSPREVIOUS") != "one" {
		t.Errorf("current %q, previous %q: want two and one", value("AWSCURRENT"), value("AWSPREVIOUS"))
	}
	if _, err := deploy.FillSecret(t.Context(), cloud.Config, *made.ARN+"x", secret.New("hush")); err == nil || strings.Contains(err.Error(), "hush") {
		t.Errorf("no such secret: %v: want an error without the value", err)
	}
}
